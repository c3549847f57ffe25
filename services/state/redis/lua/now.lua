-- Put before scripts of leases. KEYS[3]: when leases were last looked after, and until when none
-- ends. Returns now, and that end; time is Redis' own, so that no machine's clock can be wrong.
-- Where nobody came for half a lease, Redis was away, or all holders were: nobody could renew, so
-- all have one lease's time to come back.
local function look_after(lease_ms)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local known = redis.call('HMGET', KEYS[3], 'seen', 'none_ends')
  local none_ends = tonumber(known[2]) or 0
  if not known[1] or now - known[1] > lease_ms / 2 then
    none_ends = now + lease_ms
  end
  redis.call('HSET', KEYS[3], 'seen', now, 'none_ends', none_ends)
  redis.call('PEXPIRE', KEYS[3], lease_ms * 4)
  return now, none_ends
end

