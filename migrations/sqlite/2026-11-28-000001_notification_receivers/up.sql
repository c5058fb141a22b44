-- Receivers of notifications that failed or asked to be left alone. It is of the receiver, not of a message or a channel:
-- the key is a digest of its URL.
CREATE TABLE notification_receivers (
    receiver TEXT NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    resumes_at BIGINT NOT NULL
);
