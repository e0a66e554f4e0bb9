-- Count ids. Returns how many there are, then the (id, "token user")s of those that may lack a row
local count = redis.call('HLEN', owners)
if had_deadlines then count = count - redis.call('ZCOUNT', deadlines, '-inf', text(now)) end
local replies = {text(count)}
for _, id in ipairs(redis.call('SMEMBERS', pending)) do
  local token, owner = entry(id)
  if token then
    replies[#replies + 1] = id
    replies[#replies + 1] = token .. ' ' .. owner
  end
end
return replies
