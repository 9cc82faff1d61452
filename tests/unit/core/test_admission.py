"""Which queued runs may start, and in which order, without engine, clock or database."""

from docpipe.checkpoints import StoredRun
from docpipe.engine.admission import ADMITTED, Admission
from docpipe.model import PRIORITY_WORTH_S, RunState


def run(run_id, created_at=0.0, priority=0):
    return StoredRun(
        run_id, f"P{run_id}", priority, RunState.QUEUED, created_at, None, None, None, None, {}, None
    )


def admitted(admission):
    """Admit all that can be; the ids in their order."""
    ids = []
    while (next_run := admission.next()) is not None:
        admission.hold(next_run.run_id)
        ids.append(next_run.run_id)
    return ids


def test_runs_are_admitted_in_the_order_of_their_creation():
    """The oldest first; of the same age, the one that was queued first."""
    admission = Admission()
    for queued in (run("b", 2.0), run("c", 3.0), run("a", 1.0), run("a2", 1.0)):
        admission.add(queued)
    assert [queued.run_id for queued in admission.queued] == ["a", "a2", "b", "c"]
    assert admission.waiting == 4
    assert admitted(admission) == ["a", "a2", "b", "c"]
    assert admission.waiting == 0


def test_a_level_of_priority_is_worth_an_hour():
    """A higher priority goes first, except before a run that has waited an hour longer."""
    admission = Admission()
    admission.add(run("old", 0.0))
    admission.add(run("late", PRIORITY_WORTH_S + 1, priority=1))
    admission.add(run("urgent", PRIORITY_WORTH_S - 1, priority=1))
    assert admitted(admission) == ["urgent", "old", "late"]


def test_no_more_than_so_many_hold_an_admission():
    """The next run is admitted once a holder has released its admission, and only then."""
    admission = Admission(most=2)
    for number in range(4):
        admission.add(run(f"R{number}", number))
    assert admitted(admission) == ["R0", "R1"]
    assert (admission.next(), admission.waiting) == (None, 2)
    admission.release("R3")  # holds none: nothing becomes free
    assert admission.next() is None
    admission.release("R0")
    assert not admission.is_holding("R0")
    assert admission.is_holding("R1")
    assert admitted(admission) == ["R2"]


def test_64_runs_are_admitted_by_default():
    """The default bound, which the documentation names."""
    admission = Admission()
    for number in range(ADMITTED + 1):
        admission.add(run(f"R{number}"))
    assert (len(admitted(admission)), admission.waiting) == (64, 1)


def test_a_run_may_hold_an_admission_beyond_the_bound():
    """A cancelled run starts at once; it counts, so that others wait longer."""
    admission = Admission(most=1)
    admission.hold("X")
    admission.hold("Y")
    admission.add(run("R"))
    admission.release("X")
    assert admission.next() is None
    admission.release("Y")
    assert admitted(admission) == ["R"]


def test_a_withdrawn_run_is_neither_queued_nor_accepted():
    """Cancelling removes a run from the queue; a caller that read it before cannot queue it again."""
    admission = Admission()
    for number in range(20):
        admission.add(run(f"R{number:02}", number))
    with admission.reading():
        admission.withdraw("R00")
        admission.withdraw("R07")
        admission.add(run("R07", 7))
        expected = [f"R{number:02}" for number in range(20) if number not in (0, 7)]
        assert admitted(admission) == expected
        admission.readmit("R07")
        admission.add(run("R07", 7))
        assert admitted(admission) == ["R07"]


def test_withdrawn_runs_are_remembered_as_long_as_somebody_may_add_them():
    """Until the last of several callers has added what it read; a service runs for months."""
    admission = Admission()
    with admission.reading():
        with admission.reading():
            admission.withdraw("R")
        admission.add(run("R"))
        assert admission.waiting == 0
    admission.withdraw("S")
    for read_later in (run("R"), run("S")):
        admission.add(read_later)
    assert [queued.run_id for queued in admission.queued] == ["R", "S"]


def test_the_order_survives_a_withdrawal():
    """Of runs that were queued in any order, the rest is admitted in the right one."""
    for gone in range(7):
        admission = Admission()
        for age in (0, 10, 1, 11, 12, 2, 3):
            admission.add(run(f"R{age:02}", age))
        left = [queued.run_id for queued in admission.queued]
        admission.withdraw(left.pop(gone))
        assert admitted(admission) == left


def test_a_run_is_queued_once():
    """A run that is submitted again keeps one place in the queue, and moves up if it is more urgent now."""
    admission = Admission()
    for again in (run("a", priority=-9), run("b"), run("a", priority=-9), run("a", priority=5), run("b")):
        admission.add(again)
    assert admission.waiting == 2
    assert [queued.run_id for queued in admission.queued] == ["a", "b"]
    assert admission.next().priority == 5
    assert admitted(admission) == ["b"]
    assert admission.waiting == 0


def test_a_run_that_was_admitted_comes_back_in_its_turn():
    """The entry that stayed in the queue when the run moved up does not admit it too early."""
    admission = Admission()
    admission.add(run("a", 0))
    admission.add(run("a", 0, priority=5))
    admission.add(run("b", 0))
    assert admission.next().priority == 5
    admission.add(run("a", 0))
    assert admitted(admission) == ["b", "a"]
