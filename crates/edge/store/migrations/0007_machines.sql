-- A desktop that several users share has a place for each of their sessions; any other has one place, 0.
ALTER TABLE session ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
DROP INDEX session_in_desktop;
CREATE UNIQUE INDEX session_in_desktop ON session (desktop_key, place) WHERE live = 1;
