-- Put before the scripts of leases: time is Redis' own, so that no machine's clock can be wrong.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

