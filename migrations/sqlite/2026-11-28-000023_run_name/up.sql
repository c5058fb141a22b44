-- What a run is called in its configuration, also where others submitted it.
ALTER TABLE jobs ADD COLUMN run_name TEXT;
