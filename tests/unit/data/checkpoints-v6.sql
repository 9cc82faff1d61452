PRAGMA application_id = 1146045264;
PRAGMA user_version = 6;
BEGIN TRANSACTION;
CREATE TABLE answers (
            key TEXT PRIMARY KEY, at REAL NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL
        ) WITHOUT ROWID;
CREATE TABLE clock (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    boot_id TEXT NOT NULL,
    ahead   REAL NOT NULL, -- seconds by which it is ahead of the time since that boot
    lowest  REAL NOT NULL  -- it has shown this, so it is not earlier
);
INSERT INTO "clock" VALUES(1,'6b1d0f2a-3c4e-4f5a-9b8c-7d6e5f4a3b2c',1799999000.0,1800000120.0);
CREATE TABLE grants ( -- requests spent under a quota with a long window
    id       INTEGER PRIMARY KEY,
    quota    TEXT NOT NULL,
    at       REAL NOT NULL,
    answered REAL
);
INSERT INTO "grants" VALUES(1,'docex.search',1800000000.0,1800000000.0);
INSERT INTO "grants" VALUES(2,'docex.search',1800000006.0,1800000006.0);
INSERT INTO "grants" VALUES(3,'docex.search',1800000012.0,1800000012.0);
INSERT INTO "grants" VALUES(4,'docex.search',1800000018.0,1800000018.0);
INSERT INTO "grants" VALUES(5,'docex.search',1800000119.5,NULL);
CREATE TABLE notifications ( -- ends of runs that the receiver has not confirmed
    id          TEXT PRIMARY KEY,
    run_id      TEXT NOT NULL,
    patient_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    counts      TEXT NOT NULL,
    retries     INTEGER NOT NULL,
    created_at  REAL NOT NULL,
    started_at  REAL,
    finished_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE pauses (name TEXT PRIMARY KEY, since REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE process (id INTEGER PRIMARY KEY CHECK (id = 1), alive REAL NOT NULL, at REAL);
INSERT INTO "process" VALUES(1,1800000120.0,1800000120.0);
CREATE TABLE retention ( -- which time is believed, before anything is deleted for its age; see pruning.py
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    believed REAL NOT NULL,
    doubted  REAL -- when the clock was first seen far ahead of that
);
CREATE TABLE runs (
    run_id      TEXT PRIMARY KEY,
    patient_id  TEXT NOT NULL,
    priority    INTEGER NOT NULL,
    state       TEXT NOT NULL,
    created_at  REAL NOT NULL,
    started_at  REAL,
    finished_at REAL,
    task_id     TEXT,
    error       TEXT,
    counts      TEXT NOT NULL DEFAULT '{}', -- documents by outcome
    doing       TEXT NOT NULL DEFAULT '{}'  -- what it is at, and waits for; a second old at most
, retries INTEGER NOT NULL DEFAULT 0, retried_from TEXT) WITHOUT ROWID;
INSERT INTO "runs" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','S00000',0,'completed',1800000000.0,1800000000.0,1.80000000330000114439e+09,'t-6db745a194b5728f',NULL,'{"converted": 4}','{}',0,NULL);
INSERT INTO "runs" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','S00001',0,'failed',1800000000.0,1800000000.0,1.80000000930000114435e+09,'t-82577b650ad6a147','The exchange could not complete the search: No network answered in time.','{}','{}',2,'ConvertFile');
INSERT INTO "runs" VALUES('01MCC5RM00V3RS3DTR98H6BCFQ','S00002',0,'running',1800000000.0,1800000000.0,NULL,NULL,NULL,'{}','{"activity": "DocEx_CheckStatus", "since": 1800000012.0, "wait": {"kind": "poll", "what": "docex.status", "since": 1800000119.692526, "until": 1800000143.2310314, "place": null}, "progress": null}',0,NULL);
INSERT INTO "runs" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','S00003',0,'completed_with_errors',1800000000.0,1800000000.0,1.80000002130000114446e+09,'t-4e03ad8aeb25f5e6','The task was deleted in the tracker; the documents are kept.','{"converted": 4}','{}',0,NULL);
INSERT INTO "runs" VALUES('01MCC5W960S7MP2BKPJTKCXK0V','S00004',3,'queued',1800000120.0,NULL,NULL,NULL,NULL,'{}','{}',0,NULL);
CREATE TABLE schedules ( -- what a service retrieves again by plan
    name    TEXT PRIMARY KEY,
    until   REAL NOT NULL, -- all that was due by then has begun
    last_at REAL, -- when runs were last begun
    begun   INTEGER NOT NULL DEFAULT 0, -- runs of the round that started at `round`
    round   REAL,
    paused  REAL -- since when a person has paused it
, next_at REAL) WITHOUT ROWID;
CREATE TABLE steps (
    run_id      TEXT NOT NULL,
    activity    TEXT NOT NULL,
    item        TEXT NOT NULL, -- which document or try; empty where there is one
    attempts    INTEGER NOT NULL,
    started_at  REAL NOT NULL,
    finished_at REAL,
    state       TEXT, -- what a later try has to know: the intent of a POST, when to ask next
    result      TEXT, -- set once: the checkpoint
    PRIMARY KEY (run_id, activity, item)
) WITHOUT ROWID;
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','ConvertFile','00001',1,1800000003.2,1800000003.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','ConvertFile','00002',1,1800000003.2,1800000003.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','ConvertFile','00003',1,1800000003.2,1800000003.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','ConvertFile','00004',1,1800000003.2,1800000003.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','DocEx_CheckStatus','',1,1800000000.0,1800000003.2,'{"polls": 1, "next": 1800000003.2, "progress": 0.22, "first": [1.0, 0.22], "asked": [1.0]}','{"state":"ready","polls":2,"asked":[1.0,3.2],"removed!":true}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','DocEx_DownloadAndExtract','',1,1800000003.2,1800000003.2,'{"etag": "\"2814fe6f5ae968905b5085dc7dc3f7d5\""}','{"state": "ready", "size": 606, "sha256": "2814fe6f5ae968905b5085dc7dc3f7d56718027228a6021c390c82513c9b854a", "members": [{"path": "note.txt", "file": "files/00001.bin", "size": 56, "sha256": "de594cb81a08fb9a932dbfe6740771c0b545637eefda29a1272cb17a69bec7f4", "id": "de594cb81a08fb9a", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "note"}}, {"path": "call.txt", "file": "files/00002.bin", "size": 51, "sha256": "305ef0452ec3742e89d12b73900f6c8cf6eede8925df0b8d8be58b895cb4b882", "id": "305ef0452ec3742e", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "call"}}, {"path": "message.html", "file": "files/00003.bin", "size": 72, "sha256": "8d443e5379f0ae66dc21aea8d5a1b376e0d5abb1257eea41c781d97e7a11e620", "id": "8d443e5379f0ae66", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "message"}}, {"path": "results.csv", "file": "files/00004.bin", "size": 38, "sha256": "d6c5866b52dcaad4f23e819b933672d7792cafaf21dfa80c7766bfacbe2bc434", "id": "d6c5866b52dcaad4", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "results"}}]}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','DocEx_Search','',1,1800000000.0,1800000000.0,'{"sent": 1800000000.0}','{"search_id": "s-5464db8667a2e1d7", "path": "/v1/searches/s-5464db8667a2e1d7", "at": 1800000000.0, "ask_after": 1.0}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','GenerateReport','',1,1800000003.2,1800000003.2,NULL,'{"digest": "# Completed\n\n- 4 readable\n\n## Documents\n\n- note (Plain text)\n- call (Plain text)\n- message (Plain text)\n- results (Plain text)\n", "link": "/data/storage/S00000/runs/01MCC5RM00V3RS3DTR98H6BCFN/report.html"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','GetPatientFromDB','',1,1800000000.0,1800000000.0,NULL,'{"removed!":true}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','PutToStorage','00001',1,1800000003.2,1800000003.2,NULL,'{"key": "S00000/de594cb81a08fb9a"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','PutToStorage','00002',1,1800000003.2,1800000003.2,NULL,'{"key": "S00000/305ef0452ec3742e"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','PutToStorage','00003',1,1800000003.2,1800000003.2,NULL,'{"key": "S00000/8d443e5379f0ae66"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','PutToStorage','00004',1,1800000003.2,1800000003.2,NULL,'{"key": "S00000/d6c5866b52dcaad4"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','TaskTracker_AppendReport','',1,1800000003.2,1.80000000330000114439e+09,'{"sent": 1800000003.2}','{"appended": true, "problem": null}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','TaskTracker_Create','',1,1800000000.0,1800000000.0,'{"sent": 1800000000.0}','{"task_id": "t-6db745a194b5728f"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFN','TaskTracker_UpdateStatus','',1,1800000003.2,1800000003.2,NULL,'{"status": "completed", "problem": null}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','DocEx_CheckStatus','',1,1800000006.0,1800000009.2,'{"polls": 1, "next": 1800000009.2, "progress": 0.41, "first": [1.0, 0.41], "asked": [1.0]}','{"error!": "The exchange could not complete the search: No network answered in time."}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','DocEx_Search','',1,1.80000000010000109681e+09,1800000006.0,'{"sent": 1800000000.100001}','{"search_id": "s-ab4c63dd3d6c5a7e", "path": "/v1/searches/s-ab4c63dd3d6c5a7e", "at": 1800000006.0, "ask_after": 1.0}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','GenerateReport','',1,1800000009.2,1800000009.2,NULL,'{"digest": "# Failed\n\nThe exchange could not complete the search: No network answered in time.\n\n", "link": "/data/storage/S00001/runs/01MCC5RM00V3RS3DTR98H6BCFP/report.html"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','GetPatientFromDB','',1,1800000000.0,1800000000.0,NULL,'{"removed!":true}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','TaskTracker_AppendReport','',1,1800000009.2,1.80000000930000114435e+09,'{"sent": 1800000009.2}','{"appended": true, "problem": null}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','TaskTracker_Create','',1,1800000000.0,1.80000000010000109681e+09,'{"sent": 1800000000.0}','{"task_id": "t-82577b650ad6a147"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFP','TaskTracker_UpdateStatus','',1,1800000009.2,1800000009.2,NULL,'{"status": "failed", "problem": null}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFQ','DocEx_CheckStatus','',1,1800000012.0,NULL,'{"polls": 14, "next": 1800000143.2310314, "progress": null, "first": null, "asked": [1.0, 3.2, 5.8, 9.0, 12.8, 17.4, 22.8, 29.4, 37.3, 46.8, 58.1, 71.7, 88.1, 107.7]}',NULL);
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFQ','DocEx_Search','',1,1.8000000002000019551e+09,1800000012.0,'{"sent": 1800000000.200002}','{"search_id": "s-f510a4c197b763f0", "path": "/v1/searches/s-f510a4c197b763f0", "at": 1800000012.0, "ask_after": 1.0}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFQ','GetPatientFromDB','',1,1800000000.0,1800000000.0,NULL,'{"id": "S00002", "given": "Ann", "family": "Lee", "birth_date": "1957-03-31", "sex": "unknown", "postal_code": ""}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFQ','TaskTracker_Create','',1,1800000000.0,1.8000000002000019551e+09,'{"sent": 1800000000.0}','{"task_id": "t-bd443d6b1be78e1a"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','ConvertFile','00001',1,1800000021.2,1800000021.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','ConvertFile','00002',1,1800000021.2,1800000021.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','ConvertFile','00003',1,1800000021.2,1800000021.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','ConvertFile','00004',1,1800000021.2,1800000021.2,NULL,'{"outcome": "converted", "reason": null, "media_type": "text/plain", "extension": ".txt", "outputs": ["text.md"], "metadata": {"media_type": "text/plain", "warnings": []}, "embedded": [], "warnings": [], "reused": false}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','DocEx_CheckStatus','',1,1800000018.0,1800000021.2,'{"polls": 1, "next": 1800000021.2, "progress": 0.41, "first": [1.0, 0.41], "asked": [1.0]}','{"state":"ready","polls":2,"asked":[1.0,3.2],"removed!":true}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','DocEx_DownloadAndExtract','',1,1800000021.2,1800000021.2,'{"etag": "\"3aec5a8a271922e0bc483786c14d2d61\""}','{"state": "ready", "size": 610, "sha256": "3aec5a8a271922e0bc483786c14d2d61c839912c455ce79347caaee35b1ead70", "members": [{"path": "note.txt", "file": "files/00001.bin", "size": 56, "sha256": "f9f417de9e229cba4aedee24ef4c497ad605093b60c4114c7ed29e935ad3888f", "id": "f9f417de9e229cba", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "note"}}, {"path": "call.txt", "file": "files/00002.bin", "size": 51, "sha256": "81446fb6771cd72161e82d982ac564635b33976f4de902dc15e9ea848e30c2b3", "id": "81446fb6771cd721", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "call"}}, {"path": "message.html", "file": "files/00003.bin", "size": 72, "sha256": "9811582291acece83c902621a91c07cb7c3f4102d57d71c5df3c2adc6e06bbf5", "id": "9811582291acece8", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "message"}}, {"path": "results.csv", "file": "files/00004.bin", "size": 38, "sha256": "b478e5e5a3d06d191efecb4df56a972a76d478366be725dbc7bfae15bbf76b4a", "id": "b478e5e5a3d06d19", "outcome": null, "reason": null, "duplicate_of": null, "parent": null, "modified": "2024-05-17", "told": {"title": "results"}}]}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','DocEx_Search','',1,1.80000000030000305174e+09,1800000018.0,'{"sent": 1800000000.300003}','{"search_id": "s-a0bc90b8adcc1ad0", "path": "/v1/searches/s-a0bc90b8adcc1ad0", "at": 1800000018.0, "ask_after": 1.0}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','GenerateReport','',1,1800000021.2,1800000021.2,NULL,'{"digest": "# Completed\n\n- 4 readable\n\n## Documents\n\n- note (Plain text)\n- call (Plain text)\n- message (Plain text)\n- results (Plain text)\n", "link": "/data/storage/S00003/runs/01MCC5RM00V3RS3DTR98H6BCFR/report.html"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','GetPatientFromDB','',1,1800000000.0,1800000000.0,NULL,'{"removed!":true}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','PutToStorage','00001',1,1800000021.2,1800000021.2,NULL,'{"key": "S00003/f9f417de9e229cba"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','PutToStorage','00002',1,1800000021.2,1800000021.2,NULL,'{"key": "S00003/81446fb6771cd721"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','PutToStorage','00003',1,1800000021.2,1800000021.2,NULL,'{"key": "S00003/9811582291acece8"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','PutToStorage','00004',1,1800000021.2,1800000021.2,NULL,'{"key": "S00003/b478e5e5a3d06d19"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','TaskTracker_AppendReport','',1,1800000021.2,1.80000002130000114446e+09,'{"sent": 1800000021.2}','{"appended": false, "problem": "The task was deleted in the tracker; the documents are kept."}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','TaskTracker_Create','',1,1800000000.0,1.80000000030000305174e+09,'{"sent": 1800000000.0}','{"task_id": "t-4e03ad8aeb25f5e6"}');
INSERT INTO "steps" VALUES('01MCC5RM00V3RS3DTR98H6BCFR','TaskTracker_UpdateStatus','',1,1800000021.2,1800000021.2,NULL,'{"status": null, "problem": "The task was deleted in the tracker; the documents are kept."}');
CREATE INDEX runs_by_patient ON runs (patient_id, run_id);
CREATE UNIQUE INDEX one_unfinished_run_a_patient ON runs (patient_id) WHERE state IN ('queued', 'running');
CREATE INDEX runs_by_state ON runs (state, run_id);
CREATE INDEX runs_by_end ON runs (finished_at, state) WHERE finished_at IS NOT NULL;
COMMIT;
