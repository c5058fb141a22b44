-- The whole of a text of which its job carries a part: `error_message` or `output_url`.
CREATE TABLE job_texts (
    job_id TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    field TEXT NOT NULL,
    whole TEXT NOT NULL,
    PRIMARY KEY (job_id, field)
);

-- What a job is found by, in small letters. Apart from the jobs, because reading all of those takes many times
-- as long; and folded by the daemon, because SQLite knows no letters beyond ASCII.
CREATE TABLE job_search (
    job_id TEXT NOT NULL PRIMARY KEY REFERENCES jobs (job_id) ON DELETE CASCADE,
    folded TEXT NOT NULL
);
