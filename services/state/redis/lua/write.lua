-- Write a record if it is as the writer knows it.
-- KEYS: the record. ARGV: the version that the writer knows, "" where there is none; the new one;
-- the record as JSON; for how long it is kept, in milliseconds.
-- Returns nothing once it is written, else the version and the record that are there.
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version == ARGV[2] then
  return false -- written before; the answer was lost, and the write was sent again
end
if version ~= ARGV[1] then
  return {version, redis.call('HGET', KEYS[1], 'record')}
end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'record', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return false
