-- The audit trail is read by time: what is written down late, because the store was away, stands where it belongs.
CREATE INDEX audit_by_time ON audit (at, id);
