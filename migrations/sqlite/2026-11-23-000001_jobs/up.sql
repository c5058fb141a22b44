-- The jobs, as all that was said about them adds up. Instants are microseconds since the Unix
-- epoch in UTC, money is millionths of a dollar, and JSON is text: the same in both databases.
CREATE TABLE jobs (
    job_id TEXT NOT NULL PRIMARY KEY,
    job_type TEXT NOT NULL,
    provider TEXT NOT NULL,
    provider_job_id TEXT,
    status TEXT NOT NULL,
    provider_status TEXT,
    config_name TEXT,
    model TEXT,
    version TEXT,
    hardware_type TEXT,
    user_id TEXT,
    web_url TEXT,
    created_at BIGINT NOT NULL,
    provider_created_at BIGINT,
    first_seen_at BIGINT NOT NULL,
    started_at BIGINT,
    completed_at BIGINT,
    -- When a user asked for its end; the provider is asked until the job has ended.
    cancel_requested_at BIGINT,
    status_since BIGINT,
    confirmed_at BIGINT,
    predict_time_micros BIGINT,
    cost_micro_usd BIGINT,
    error_message TEXT,
    output_url TEXT,
    progress TEXT,
    provenance TEXT NOT NULL,
    liveness TEXT NOT NULL
);
CREATE UNIQUE INDEX jobs_at_provider ON jobs (provider, provider_job_id);
-- The list: newest first, and of one instant in a fixed order.
CREATE INDEX jobs_by_age ON jobs (created_at DESC, job_id);
-- What is active, for every round of polling; and lists and totals of one state.
CREATE INDEX jobs_by_status ON jobs (status, created_at DESC);
-- What the provider is still to be asked to end.
CREATE INDEX jobs_to_cancel ON jobs (cancel_requested_at) WHERE cancel_requested_at IS NOT NULL;

-- The jobs that are submitted through this daemon, on their way to the provider and beyond. A later one has
-- a greater id.
CREATE TABLE queue_entries (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL UNIQUE REFERENCES jobs (job_id) ON DELETE CASCADE,
    status TEXT NOT NULL,
    priority BIGINT NOT NULL,
    priority_override BIGINT,
    queued_at BIGINT NOT NULL,
    -- Not handed over before, after an attempt that failed.
    not_before BIGINT,
    -- The intent: when it was last handed over, stored before the call, and when by the provider's clock the
    -- newest job was created that was known then. Ours can only be newer.
    submitted_at BIGINT,
    newest_known_at BIGINT,
    started_at BIGINT,
    completed_at BIGINT,
    attempt BIGINT NOT NULL,
    max_attempts BIGINT NOT NULL,
    error_message TEXT,
    estimated_cost_micro_usd BIGINT,
    -- What the provider is asked to run, as JSON, without secrets.
    job_order TEXT NOT NULL,
    idempotency_key TEXT,
    -- The job that failed by its provider's fault, of which this one is another attempt.
    retry_of TEXT,
    -- The provider's jobs, as JSON, of which one may be this one, which failed since nobody could tell.
    suspects TEXT
);
-- Who is next, and what is under way.
CREATE INDEX queue_open ON queue_entries (status) WHERE status IN ('pending', 'submitting', 'running');
CREATE INDEX queue_by_key ON queue_entries (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The log of everything that changed. The position of an event is its SSE id.
-- INTEGER, of all the words for the same type, makes SQLite keep the rows themselves in this order.
CREATE TABLE events (
    seq INTEGER NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    job_id TEXT,
    -- How many bytes of JSON came before this event since the first one of all, so that the size of any
    -- part of the log is a difference of two numbers.
    offset_bytes BIGINT NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX events_of_job ON events (job_id, seq);

-- The last position that was given out. It outlives the events, so that no position is reused
-- after pruning, and whoever appends locks it, so that the order of positions is the order of
-- commits; a sequence would promise neither.
CREATE TABLE event_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL,
    end_bytes BIGINT NOT NULL
);
INSERT INTO event_head (id, seq, end_bytes) VALUES (1, 0, 0);

-- Which webhooks have arrived, by the sender's id of the message. Every delivery pays for an index,
-- so there is none for the age: old ones are looked for every ten minutes, a few rows at a time.
CREATE TABLE webhook_deliveries (
    webhook_id TEXT NOT NULL PRIMARY KEY,
    received_at BIGINT NOT NULL
) WITHOUT ROWID;

-- The logs of finished jobs, which providers delete soon after the end. Of one that was pruned the row
-- stays, empty: it says what became of the log, and keeps it from being stored again. Empty, too, is that of a
-- log that could not be fetched for so long that it was told (missing), or that the provider has deleted (lost).
CREATE TABLE job_logs (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
    ended_at BIGINT NOT NULL,
    log_bytes BIGINT NOT NULL,
    pruned_at BIGINT,
    missing_at BIGINT,
    lost_at BIGINT,
    packed BLOB NOT NULL
);
-- Which log is pruned next.
CREATE INDEX job_logs_by_end ON job_logs (ended_at) WHERE pruned_at IS NULL;

-- What the kept logs add up to, moved in the transaction that keeps or prunes one: to count them
-- would be to read them all.
CREATE TABLE job_logs_sum (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    packed_bytes BIGINT NOT NULL
);
INSERT INTO job_logs_sum (id, packed_bytes) VALUES (1, 0);

-- The curves of jobs: loss, learning rate and speed over their steps. Apart from the jobs, since lists need
-- none of them.
CREATE TABLE job_series (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
    packed BLOB NOT NULL
);

-- How far each channel of notifications has come in the log of events.
CREATE TABLE notification_channels (
    name TEXT NOT NULL PRIMARY KEY,
    seq BIGINT NOT NULL
);

-- What channels are told: planned in the transaction that moves their place, so that nothing is told to one
-- twice or never. Of a message that could not be delivered the row stays until it is as old as events may be.
CREATE TABLE notifications (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    seq BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    message TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    UNIQUE (channel, seq)
);
CREATE INDEX notifications_open ON notifications (channel, status, next_attempt_at);
CREATE INDEX notifications_by_age ON notifications (created_at);

-- What was set through the API and must survive a restart.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
