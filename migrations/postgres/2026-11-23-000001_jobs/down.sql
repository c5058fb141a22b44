DROP TABLE settings;
DROP TABLE job_series;
DROP TABLE job_logs_sum;
DROP TABLE job_logs;
DROP TABLE webhook_deliveries;
DROP TABLE event_head;
DROP TABLE events;
DROP TABLE jobs;
