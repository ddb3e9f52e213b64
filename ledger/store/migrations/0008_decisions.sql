-- What is decided about a job apart from its course, and what of it can be erased alone: JSON objects, null for most jobs.
ALTER TABLE job ADD COLUMN decisions text, ADD COLUMN private text;
