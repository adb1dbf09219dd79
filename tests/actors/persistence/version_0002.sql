-- A store as version 0002 left it.
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'riskd','0001_first_tables','2026-11-21 03:03:45.323474+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'riskd','0002_quick_answers','2026-11-21 03:03:45.326805+00:00');
CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        entry TEXT NOT NULL,
        previous TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE,
        UNIQUE (id, entry)
    ) STRICT;
INSERT INTO "audit" VALUES(1,'admin/PRAC-V2-1001/1','{"account":"PRAC-V2-1001","at":"2026-03-02T15:30:01.250000Z","by":"1000","command":"unlock","id":"admin/PRAC-V2-1001/1","outcome":"done","role":"admin"}','0000000000000000000000000000000000000000000000000000000000000000','391b82c68d819ef5706240e398584c7efb534ff64dad76df87cc843e8a310f59');
CREATE TABLE contracts (
        id TEXT NOT NULL PRIMARY KEY,
        root TEXT NOT NULL,
        name TEXT NOT NULL,
        tick_size TEXT NOT NULL,
        tick_value INTEGER NOT NULL,
        read_at TEXT NOT NULL
    ) STRICT;
INSERT INTO "contracts" VALUES('CON.F.US.MNQ.H26','MNQ','MNQH6','0.25',5000,'2026-03-02T15:30:00.250000Z');
CREATE TABLE days (
        account INTEGER NOT NULL,
        day TEXT NOT NULL,
        name TEXT NOT NULL,
        realized INTEGER NOT NULL,
        trades INTEGER NOT NULL,
        PRIMARY KEY (account, day)
    ) STRICT;
INSERT INTO "days" VALUES(1001,'2026-03-02','PRAC-V2-1001',-5125000,4);
CREATE TABLE fills (
        account INTEGER NOT NULL,
        id INTEGER NOT NULL,
        order_id INTEGER NOT NULL,
        contract TEXT NOT NULL,
        at TEXT NOT NULL,
        size INTEGER NOT NULL,
        price TEXT NOT NULL,
        pnl INTEGER,
        fees INTEGER NOT NULL,
        voided INTEGER NOT NULL,
        day TEXT NOT NULL,
        own TEXT NOT NULL,
        PRIMARY KEY (account, id)
    ) STRICT;
INSERT INTO "fills" VALUES(1001,7,77,'CON.F.US.MNQ.H26','2026-03-02T15:30:07.250000Z',-1,'21000.25',-5000000,7400,0,'2026-03-02','no');
CREATE TABLE history (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        account TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
INSERT INTO "history" VALUES(1,'fill/PRAC-V2-1001/7','2026-03-02T15:30:00.250000Z','fill','PRAC-V2-1001','{"contract":"CON.F.US.MNQ.H26","pnl":"-500.00","trade":7}');
INSERT INTO "history" VALUES(2,'breach/PRAC-V2-1001/2026-03-02/daily_realized_loss/-/fill:7/1','2026-03-02T15:30:00.250000Z','breach','PRAC-V2-1001','{"inputs":{"realized":"-512.50"},"limit":"-500.00","rule":"daily_realized_loss","value":"-512.50"}');
INSERT INTO "history" VALUES(3,'demand/PRAC-V2-1001/2026-03-02/daily_realized_loss/-/fill:7/1','2026-03-02T15:30:00.250000Z','demand','PRAC-V2-1001','{"breach":"2026-03-02/daily_realized_loss/-/fill:7/1","rule":"daily_realized_loss","target":"account flat"}');
INSERT INTO "history" VALUES(4,'lockout/PRAC-V2-1001/2026-03-02/daily_realized_loss/-/fill:7/1','2026-03-02T15:30:00.250000Z','lockout','PRAC-V2-1001','{"breach":"2026-03-02/daily_realized_loss/-/fill:7/1","reason":"day -512.50","rule":"daily_realized_loss"}');
INSERT INTO "history" VALUES(5,'enforcement/PRAC-V2-1001/2026-03-02/1','2026-03-02T15:30:00.250000Z','enforcement','PRAC-V2-1001','{"breach_to_call_ms":null,"breach_to_verified_ms":null,"breaches":["2026-03-02/daily_realized_loss/-/fill:7/1"],"calls":[{"at":"2026-03-02T15:30:00.250000Z","call":"close","code":0,"contract":"CON.F.US.MNQ.H26","order":null,"outcome":"confirmed","size":1,"text":"","took_ms":41.5}],"demand":"flat","last_error":null,"notes":[],"receipt":"2026-03-02/1","rounds":1,"rules":["daily_realized_loss"],"verified":true,"verified_at":"2026-03-02T15:30:01.250000Z"}');
INSERT INTO "history" VALUES(6,'admin/PRAC-V2-1001/1','2026-03-02T15:30:01.250000Z','admin','PRAC-V2-1001','{"by":"1000","command":"unlock","outcome":"done","role":"admin"}');
INSERT INTO "history" VALUES(7,'reset/PRAC-V2-1001/2026-03-02','2026-03-02T15:30:00.250000Z','reset','PRAC-V2-1001','{"cause":"scheduled","day":"2026-03-02"}');
CREATE TABLE lockouts (
        account INTEGER NOT NULL,
        rule TEXT NOT NULL,
        kind TEXT NOT NULL,
        since TEXT NOT NULL,
        until TEXT,
        reason TEXT NOT NULL,
        flatten INTEGER NOT NULL,
        breach TEXT,
        frozen_sizes TEXT,
        ended_at TEXT,
        ended_by TEXT,
        PRIMARY KEY (account, rule)
    ) STRICT;
INSERT INTO "lockouts" VALUES(1001,'daily_realized_loss','until_reset','2026-03-02T15:30:00.250000Z','2026-03-02T23:30:00.250000Z','day -512.50',1,'2026-03-02/daily_realized_loss/-/fill:7/1','{"CON.F.US.MNQ.H26":2}',NULL,NULL);
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) STRICT;
INSERT INTO "meta" VALUES('first_guarded/1001',X'323032362D30332D30325431353A30303A30302E3030303030305A');
CREATE TABLE receipts (
        account INTEGER NOT NULL,
        id TEXT NOT NULL,
        opened_at TEXT NOT NULL,
        verified INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (account, id)
    ) STRICT;
INSERT INTO "receipts" VALUES(1001,'2026-03-02/1','2026-03-02T15:30:00.250000Z',1,'{"id":"2026-03-02/1","account":1001,"rules":["daily_realized_loss"],"breaches":["2026-03-02/daily_realized_loss/-/fill:7/1"],"demand":"flat","opened_at":"2026-03-02T15:30:00.250000Z","calls":[{"at":"2026-03-02T15:30:00.250000Z","call":"close","contract":"CON.F.US.MNQ.H26","size":1,"outcome":"confirmed","code":0,"text":"","took_ms":41.5,"order":null}],"rounds":1,"verified":true,"verified_at":"2026-03-02T15:30:01.250000Z","breach_to_call_ms":null,"breach_to_verified_ms":null,"last_error":null,"notes":[]}');
CREATE TABLE resets (
        account TEXT NOT NULL,
        day TEXT NOT NULL,
        at TEXT NOT NULL,
        cause TEXT NOT NULL,
        PRIMARY KEY (account, day)
    ) STRICT;
INSERT INTO "resets" VALUES('PRAC-V2-1001','2026-03-02','2026-03-02T15:30:00.250000Z','scheduled');
CREATE TABLE rule_states (
        account INTEGER NOT NULL,
        rule TEXT NOT NULL,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (account, rule)
    ) STRICT;
INSERT INTO "rule_states" VALUES(1001,'daily_realized_loss',12,X'8100FF');
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX history_by_account ON history (account, at);
CREATE INDEX history_by_kind ON history (kind, at);
CREATE INDEX history_by_time ON history (at);
CREATE INDEX fills_by_time ON fills (account, at);
CREATE INDEX days_by_day ON days (day);
CREATE INDEX receipts_open ON receipts (account) WHERE verified = 0;
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE INDEX history_by_account_and_kind ON history (account, kind, at);
CREATE INDEX fills_by_day ON fills (account, day, voided, pnl, fees);
CREATE INDEX receipts_by_time ON receipts (opened_at);
COMMIT;
