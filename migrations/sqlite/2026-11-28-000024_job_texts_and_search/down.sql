DROP TABLE job_search;
DROP TABLE job_texts;
