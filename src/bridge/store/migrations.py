"""Numbered migrations of the index. A number is never reused and a step that has been released never changes."""

from __future__ import annotations

from sqlalchemy import Connection, text

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
        """CREATE TABLE studies (
            study_instance_uid TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            state TEXT NOT NULL,
            source TEXT NOT NULL,
            first_at REAL NOT NULL,
            last_at REAL NOT NULL,
            due_at REAL NOT NULL,
            quiet_s REAL NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0
        )""",
        "CREATE INDEX studies_due ON studies (state, due_at)",
        """CREATE TABLE instances (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            sop_instance_uid TEXT NOT NULL,
            version INTEGER NOT NULL,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            transfer_syntax_uid TEXT NOT NULL,
            digest TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            file TEXT NOT NULL,
            calling_ae_title TEXT NOT NULL,
            own INTEGER NOT NULL,
            received_at REAL NOT NULL,
            UNIQUE (sop_instance_uid, digest),
            UNIQUE (sop_instance_uid, version)
        )""",
        "CREATE INDEX instances_study ON instances (study_instance_uid)",
        """CREATE TABLE headers (
            number INTEGER PRIMARY KEY REFERENCES instances (number),
            syntax TEXT NOT NULL,
            encoded BLOB NOT NULL
        )""",
        """CREATE TABLE frames (
            number INTEGER NOT NULL REFERENCES instances (number),
            frame INTEGER NOT NULL,
            digest TEXT NOT NULL,
            PRIMARY KEY (number, frame)
        )""",
        """CREATE TABLE decisions (
            study_instance_uid TEXT NOT NULL,
            rule TEXT NOT NULL,
            outcome TEXT NOT NULL,
            reason TEXT NOT NULL,
            explanation TEXT NOT NULL,
            job_id TEXT,
            decided_at REAL NOT NULL,
            PRIMARY KEY (study_instance_uid, rule)
        )""",
        """CREATE TABLE jobs (
            id TEXT PRIMARY KEY,
            rule TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            account TEXT NOT NULL,
            algorithm TEXT NOT NULL,
            declared_version TEXT NOT NULL,
            state TEXT NOT NULL,
            stage TEXT NOT NULL,
            code TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            frozen TEXT NOT NULL,
            inputs TEXT NOT NULL,
            explanation TEXT NOT NULL,
            remote TEXT NOT NULL DEFAULT '',
            outputs TEXT NOT NULL DEFAULT '[]',
            created_at REAL NOT NULL,
            changed_at REAL NOT NULL,
            deadline_at REAL
        )""",
        "CREATE INDEX jobs_state ON jobs (state)",
        "CREATE INDEX jobs_study ON jobs (study_instance_uid)",
        """CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            job_id TEXT NOT NULL,
            at REAL NOT NULL,
            event TEXT NOT NULL,
            keys TEXT NOT NULL
        )""",
        "CREATE INDEX events_job ON events (job_id)",
        """CREATE TABLE results (
            sop_instance_uid TEXT PRIMARY KEY,
            job_id TEXT NOT NULL,
            kind TEXT NOT NULL,
            output_name TEXT NOT NULL,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            file TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            size_bytes INTEGER NOT NULL
        )""",
        "CREATE INDEX results_job ON results (job_id)",
        """CREATE TABLE deliveries (
            job_id TEXT NOT NULL,
            destination TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER,
            reason TEXT NOT NULL DEFAULT '',
            attempts INTEGER NOT NULL DEFAULT 0,
            first_at REAL,
            last_at REAL,
            PRIMARY KEY (job_id, destination, sop_instance_uid)
        )""",
        """CREATE TABLE specs (
            account TEXT NOT NULL,
            algorithm TEXT NOT NULL,
            declared_version TEXT NOT NULL,
            spec TEXT,
            code TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            learned_at REAL NOT NULL,
            PRIMARY KEY (account, algorithm, declared_version)
        )""",
    ),
    (
        "ALTER TABLE studies ADD COLUMN opened_at REAL NOT NULL DEFAULT 0",
        "UPDATE studies SET opened_at = first_at",
        "ALTER TABLE studies ADD COLUMN waits TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE studies ADD COLUMN complete TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE studies ADD COLUMN asked TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE studies ADD COLUMN released TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE studies ADD COLUMN doubts TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE instances ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0",
        "UPDATE instances SET arrival = version",
        "ALTER TABLE instances ADD COLUMN change TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE instances ADD COLUMN dropped_at REAL",
        # What retention looks at grows with what is held, not with what was ever held.
        "CREATE INDEX instances_held ON instances (received_at, study_instance_uid) WHERE dropped_at IS NULL",
        "CREATE INDEX instances_file ON instances (file) WHERE dropped_at IS NULL",
        "CREATE INDEX instances_series ON instances (series_instance_uid)",
        "ALTER TABLE jobs ADD COLUMN run INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN rerun INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN contents TEXT NOT NULL DEFAULT '{}'",
        """CREATE TABLE turns (
            job_id TEXT NOT NULL,
            destination TEXT NOT NULL,
            turn INTEGER NOT NULL,
            tries INTEGER NOT NULL DEFAULT 0,
            due_at REAL,
            code TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            since REAL NOT NULL,
            PRIMARY KEY (job_id, destination)
        )""",
        "CREATE INDEX turns_due ON turns (due_at)",
        # Deliveries that were under way with the engine alone go on in turns.
        """INSERT INTO turns (job_id, destination, turn, due_at, since)
            SELECT d.job_id, d.destination, 1, 0, j.changed_at FROM deliveries d JOIN jobs j ON j.id = d.job_id
            WHERE j.state = 'running' AND d.outcome NOT IN ('delivered', 'warned', 'refused', 'held')
            GROUP BY d.job_id, d.destination""",
        """CREATE TABLE lines (
            destination TEXT PRIMARY KEY,
            down_since REAL NOT NULL,
            next_at REAL NOT NULL,
            tries INTEGER NOT NULL,
            code TEXT NOT NULL,
            reason TEXT NOT NULL,
            trial TEXT NOT NULL DEFAULT ''
        )""",
        "ALTER TABLE deliveries ADD COLUMN few INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE deliveries ADD COLUMN asked INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE deliveries ADD COLUMN resent INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE refusals (
            calling_ae_title TEXT NOT NULL,
            called_ae_title TEXT NOT NULL,
            host TEXT NOT NULL,
            why TEXT NOT NULL,
            count INTEGER NOT NULL,
            first_at REAL NOT NULL,
            last_at REAL NOT NULL,
            PRIMARY KEY (calling_ae_title, called_ae_title, host)
        )""",
        """CREATE TABLE acts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            act TEXT NOT NULL,
            target TEXT NOT NULL,
            who TEXT NOT NULL,
            reason TEXT NOT NULL DEFAULT '',
            asked_at REAL NOT NULL,
            done_at REAL,
            outcome TEXT NOT NULL DEFAULT '',
            answer TEXT NOT NULL DEFAULT ''
        )""",
        """CREATE TABLE alerts (
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            reason TEXT NOT NULL,
            since REAL NOT NULL,
            last_at REAL NOT NULL,
            PRIMARY KEY (kind, subject)
        )""",
        """CREATE TABLE submits (
            account TEXT NOT NULL,
            remote_id TEXT NOT NULL,
            key TEXT NOT NULL,
            at REAL NOT NULL,
            stray INTEGER NOT NULL,
            PRIMARY KEY (account, remote_id)
        )""",
        "CREATE INDEX submits_key ON submits (key)",
        """INSERT OR IGNORE INTO submits (account, remote_id, key, at, stray)
            SELECT account, json_extract(remote, '$.remote_id'), id, changed_at, 0 FROM jobs
            WHERE remote != '' AND json_extract(remote, '$.remote_id') != ''""",
        "ALTER TABLE results ADD COLUMN variant TEXT NOT NULL DEFAULT ''",
    ),
    (
        "ALTER TABLE decisions ADD COLUMN code TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX decisions_code ON decisions (code, rule) WHERE code != ''",
        "CREATE INDEX jobs_rule ON jobs (rule, changed_at)",
        """CREATE TABLE spent (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            rule TEXT NOT NULL,
            job_id TEXT NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE INDEX spent_rule ON spent (rule, at)",
        "CREATE INDEX spent_job ON spent (job_id)",
        # A rule that gets a budget today has spent what it made before today's upgrade.
        """INSERT INTO spent (rule, job_id, at)
            SELECT rule, id, created_at FROM jobs WHERE state != 'cancelled' OR code != 'STU-020'
            ORDER BY created_at, id""",
        """CREATE TABLE pauses (
            rule TEXT PRIMARY KEY,
            code TEXT NOT NULL,
            reason TEXT NOT NULL,
            since REAL NOT NULL,
            until_at REAL,
            resumed_at REAL NOT NULL DEFAULT 0,
            resumed_after INTEGER NOT NULL DEFAULT 0
        )""",
    ),
    (
        # A rule makes several jobs; rules wait, chain and look at earlier studies.
        """CREATE TABLE decision_jobs (
            study_instance_uid TEXT NOT NULL,
            rule TEXT NOT NULL,
            place INTEGER NOT NULL,
            job_id TEXT NOT NULL,
            PRIMARY KEY (study_instance_uid, rule, place)
        )""",
        """INSERT INTO decision_jobs (study_instance_uid, rule, place, job_id)
            SELECT study_instance_uid, rule, 0, job_id FROM decisions WHERE job_id IS NOT NULL""",
        "ALTER TABLE decisions DROP COLUMN job_id",
        "ALTER TABLE instances ADD COLUMN called_ae_title TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE jobs ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN not_before TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE decisions ADD COLUMN waits_since REAL",
        "ALTER TABLE decisions ADD COLUMN waits_until REAL",
        "ALTER TABLE decisions ADD COLUMN waits_seen INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE answers (job_id TEXT PRIMARY KEY, at REAL NOT NULL)",
        # Which studies name the same patient: keyed hashes, no Patient ID. Filled at reception, for old rows by upkeep.
        """CREATE TABLE patients (
            study_instance_uid TEXT NOT NULL,
            patient TEXT NOT NULL,
            PRIMARY KEY (study_instance_uid, patient)
        ) WITHOUT ROWID""",
        "CREATE INDEX patients_patient ON patients (patient, study_instance_uid) WHERE patient != ''",
        "ALTER TABLE studies ADD COLUMN news INTEGER NOT NULL DEFAULT 0",
        "UPDATE studies SET news = 1 WHERE state = 'open'",
        """CREATE TABLE borrowed (
            job_id TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            PRIMARY KEY (job_id, study_instance_uid)
        ) WITHOUT ROWID""",
        "CREATE INDEX borrowed_study ON borrowed (study_instance_uid)",
        # Who is meant by a name outside; `sealed` is encrypted, and what identifies a person stands nowhere else here.
        """CREATE TABLE crosswalk (
            job_id TEXT NOT NULL,
            study TEXT NOT NULL,
            patient TEXT NOT NULL,
            account TEXT NOT NULL,
            pseudonym TEXT NOT NULL,
            outward_study TEXT NOT NULL,
            naming INTEGER NOT NULL,
            sealing INTEGER NOT NULL,
            sealed BLOB NOT NULL,
            made_at REAL NOT NULL,
            PRIMARY KEY (job_id, study, patient)
        )""",
        "CREATE INDEX crosswalk_pseudonym ON crosswalk (pseudonym)",
        "CREATE INDEX crosswalk_outward ON crosswalk (outward_study)",
        "CREATE INDEX crosswalk_study ON crosswalk (study)",
        """CREATE TABLE disclosures (
            job_id TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            name TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            input TEXT NOT NULL,
            format TEXT NOT NULL,
            rule TEXT NOT NULL,
            account TEXT NOT NULL,
            platform TEXT NOT NULL,
            algorithm TEXT NOT NULL,
            pseudonym TEXT NOT NULL,
            profile TEXT NOT NULL,
            begun_at REAL NOT NULL,
            sent_at REAL,
            PRIMARY KEY (job_id, attempt, name, sha256)
        )""",
        """CREATE TABLE disclosed_patients (
            job_id TEXT NOT NULL,
            study TEXT NOT NULL,
            patient TEXT NOT NULL,
            issued TEXT NOT NULL,
            PRIMARY KEY (job_id, study, issued)
        ) WITHOUT ROWID""",
        "CREATE INDEX disclosed_patients_patient ON disclosed_patients (patient)",
        "CREATE INDEX disclosed_patients_issued ON disclosed_patients (issued)",
        "CREATE INDEX disclosed_patients_study ON disclosed_patients (study)",
        """CREATE TABLE erasures (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            act_id INTEGER NOT NULL,
            study TEXT NOT NULL,
            job_id TEXT NOT NULL,
            place TEXT NOT NULL,
            what TEXT NOT NULL,
            erased INTEGER NOT NULL,
            reason TEXT NOT NULL,
            at REAL NOT NULL
        )""",
        "CREATE INDEX erasures_study ON erasures (study)",
    ),
)


def migrate(connection: Connection) -> int:
    """Bring an index to the newest shape; the number of its schema is SQLite's `user_version`."""
    have = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    for number, statements in enumerate(MIGRATIONS[have:], start=have + 1):
        for statement in statements:
            connection.execute(text(statement))
        connection.exec_driver_sql(f"PRAGMA user_version = {number}")
    return len(MIGRATIONS)
