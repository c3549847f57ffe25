-- Extend the leases that are the caller's.
-- KEYS: until, epochs, seen. ARGV: lease in milliseconds, then session and epoch of each.
-- An epoch greater than the one known here is right: it is given out by the record alone.
-- Returns the number of places taken, then the sessions that have no lease or a newer holder.
local until_ms = look_after(ARGV[1]) + ARGV[1]
local answer = {redis.call('ZCARD', KEYS[1])}
for index = 2, #ARGV, 2 do
  local session, epoch = ARGV[index], ARGV[index + 1]
  local known = redis.call('HGET', KEYS[2], session)
  if known and tonumber(epoch) >= tonumber(known) then
    redis.call('ZADD', KEYS[1], until_ms, session)
    if epoch ~= known then
      redis.call('HSET', KEYS[2], session, epoch)
    end
  else
    answer[#answer + 1] = session
  end
end
return answer
