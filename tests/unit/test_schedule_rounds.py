"""When schedules have their rounds, through changes of the clock, and who is due in them."""

from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from docpipe.config.schedule import Schedule
from docpipe.schedule import Roster, rounds_of

HOUR, DAY = 3600.0, 86400.0
BERLIN = ZoneInfo("Europe/Berlin")
EXPRESSIONS = ["30 2 * * *", "0 3 * * 1-5", "*/20 * * * *", "15 1,2,3 * * *", "0 0 1 * *", "5 * * * *"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def cron(every: str, zone: str = "Europe/Berlin", spread: float = HOUR):
    return rounds_of(Schedule(patients=("all",), every=every, zone=zone, spread=spread))


def starts(rounds, begin: float, end: float) -> list[datetime]:
    result, moment = [], begin
    while (following := rounds.following(moment)) is not None and following.start <= end:
        moment = following.start
        result.append(datetime.fromtimestamp(moment, BERLIN))
    return result


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2027-03-27", "2027-03-27 02:30:00+01:00"),
        ("2027-03-28", "2027-03-28 03:00:00+02:00"),  # 2:30 does not exist
        ("2027-10-31", "2027-10-31 02:30:00+02:00"),  # 2:30 exists twice
        ("2027-11-01", "2027-11-01 02:30:00+01:00"),
    ],
)
def test_a_night_in_which_the_clock_is_set_has_one_round(day: str, expected: str) -> None:
    """What would start in the hour that is skipped starts after it, in the hour that is repeated once."""
    begin = at(f"{day} 00:00")
    assert [str(start) for start in starts(cron("30 2 * * *"), begin, begin + 20 * HOUR)] == [expected]


def test_cron_is_read_in_its_zone() -> None:
    """Three at night is another moment in Berlin than in UTC, and moves with summer time."""
    summer = at("2027-07-01 00:00")
    assert cron("0 3 * * *").following(summer).start == at("2027-07-01 03:00")
    assert cron("0 3 * * *", "UTC").following(summer).start == at("2027-07-01 05:00")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), st.integers(0, 4 * 366 * 24), st.integers(0, 3599)
)
def test_the_latest_rounds_are_those_that_followed(every: str, zone: str, hours: int, seconds: int) -> None:
    """Going backward finds the rounds that going forward has, on any day of four years."""
    rounds = cron(every, zone)
    moment = at("2025-01-01 00:00") + hours * HOUR + seconds
    older, newer = rounds.latest(moment)
    assert older.start < newer.start <= moment
    assert rounds.following(older.start) == newer
    assert rounds.following(older.start - 1) == older
    assert rounds.following(newer.start).start > moment
    assert older.start + older.length <= newer.start


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("every", EXPRESSIONS)
def test_both_directions_agree_around_each_change_of_the_clock(every: str, zone: str) -> None:
    """Every ten minutes of the two days of 2027 on which the clock is set somewhere."""
    rounds = cron(every, zone)
    tz = ZoneInfo(zone)
    days = [datetime(2027, 1, 1, tzinfo=tz) + timedelta(days=number) for number in range(365)]
    changes = [day for day in days if day.utcoffset() != (day + timedelta(days=1)).utcoffset()]
    for change in changes:
        moment, end = change.timestamp() - HOUR, change.timestamp() + 27 * HOUR
        forward = [newer.start for newer in iter_following(rounds, moment, end)]
        backward = []
        while moment <= end:
            newer = rounds.latest(moment)[-1].start
            if newer > change.timestamp() - HOUR and newer not in backward:
                backward.append(newer)
            moment += 600
        assert backward == [start for start in forward if start <= end]


def iter_following(rounds, moment: float, end: float):
    while (newer := rounds.following(moment)) is not None and newer.start <= end:
        moment = newer.start
        yield newer


def test_a_cron_round_ends_where_the_next_begins() -> None:
    """However long patients are to be spread."""
    newer = cron("0 * * * *", spread=5 * HOUR).latest(at("2027-07-01 12:30"))[-1]
    assert (newer.start, newer.length) == (at("2027-07-01 12:00"), HOUR)


PATIENTS = [f"P{number}" for number in range(500)]
BEGIN = at("2027-07-01 00:00")
SCHEDULES = [("7d", 7 * DAY), ("12h", DAY / 2), ("30 2 * * *", DAY), ("0 3 * * 1-5", 3 * DAY)]


@pytest.mark.parametrize(("every", "longest"), SCHEDULES)
def test_each_patient_is_due_once_a_round(every: str, longest: float) -> None:
    """Looked at often or seldom, each patient is due once in each round, at the same place in it."""
    rounds, roster = cron(every), Roster(PATIENTS)
    end, cursor, seen = BEGIN + 3 * longest, BEGIN, Counter()
    places: dict[str, set[float]] = {}
    while cursor < end:
        until = min(end, cursor + longest / 23)
        for due in roster.due(rounds, cursor, until):
            assert cursor < due.at <= until
            seen[due.patient_id, due.round] += 1
            places.setdefault(due.patient_id, set()).add(round(due.at - due.round, 3))
        cursor = until
    assert set(seen.values()) == {1}
    assert {patient_id for patient_id, _ in seen} == set(PATIENTS)
    assert {len(of_patient) for of_patient in places.values()} == {1}


@pytest.mark.parametrize(("every", "longest"), SCHEDULES)
def test_what_was_missed_is_due_once(every: str, longest: float) -> None:
    """After a long stop each patient is due once, at the last time that was missed."""
    rounds, roster = cron(every), Roster(PATIENTS)
    for rounds_missed in (2.5, 10.25, 400.0):
        end = BEGIN + rounds_missed * longest
        due = roster.due(rounds, BEGIN, end)
        assert sorted(each.patient_id for each in due) == sorted(PATIENTS)
        assert [each.at for each in due] == sorted(each.at for each in due)
        assert roster.due(rounds, due[-1].at, end) == []
        following = roster.next(rounds, due[-1].at)
        assert due[-1].at < following <= end + 2 * longest


def test_a_stop_within_a_round_leaves_nobody_out() -> None:
    """Wherever the list of those who are due is cut, the rest of it is due afterwards."""
    rounds, roster = cron("7d"), Roster(PATIENTS)
    end = BEGIN + 20 * DAY
    due = roster.due(rounds, BEGIN, end)
    for cut in range(1, len(due), 37):
        assert roster.due(rounds, due[cut - 1].at, end) == due[cut:]


def test_patients_are_spread_evenly() -> None:
    """Of 7 days each has its share of the patients."""
    roster = Roster(f"P{number}" for number in range(7000))
    monday = 2000 * 7 * DAY
    shares = [
        len(roster.due(rounds_of(Schedule(every="7d")), monday + day * DAY, monday + (day + 1) * DAY))
        for day in range(7)
    ]
    assert sum(shares) == 7000
    assert min(shares) > 900


def test_nobody_is_due_without_patients() -> None:
    """An empty list waits for nothing."""
    assert Roster([]).next(cron("7d"), BEGIN) is None
    assert Roster([]).due(cron("7d"), BEGIN, BEGIN + 30 * DAY) == []
