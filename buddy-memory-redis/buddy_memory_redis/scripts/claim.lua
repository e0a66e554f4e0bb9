-- Claim ids for their users, the first step of a write in two.
-- ARGV: ttl in ms or 0; whether to declare an intent also for ids that are owned already;
--       the version expected, or ''; n; n times (id, token, position) to settle; then (id, user)s
-- Returns the deadline in ms or 0, then for each id
--   "new token"         claimed          "own token open"     this user's, the intent is declared
--   "own"               this user's      "other token user"   another's
--   "none"              is free, and was left so because another version than 0 is expected
-- where open is 1 when an earlier intent may still be under way
local touch, expected, settled = ARGV[2] == '1', ARGV[3], tonumber(ARGV[4])
local deadline = deadline_after(ARGV[1])
local replies = {deadline}

local function claim(id, user, value)
  local token, owner = parse(id, value)
  if not token then
    if expected ~= '' and expected ~= '0' then return 'none' end
    token = draw()
    take(id, user, token, token)
    return 'new ' .. token
  elseif owner ~= user then
    return 'other ' .. token .. ' ' .. owner
  elseif touch or deadline ~= '0' or is_passing(id) then
    local open = redis.call('SISMEMBER', pending, id)
    token = draw()
    take(id, user, token)
    return 'own ' .. token .. ' ' .. text(open)
  end
  return 'own'
end

demand_writing(had_deadlines or deadline ~= '0')
forget_due()
local first = 5 + 3 * settled
settle(ARGV, 5, first - 1)
local ids = {}
for i = first, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
for i, value in ipairs(redis.call('HMGET', owners, unpack(ids))) do
  replies[#replies + 1] = claim(ids[i], ARGV[first + 2 * i - 1], value)
end
if #claimed > 0 then redis.call('SCARD', pending) end
write_claims(deadline)
if #claimed > 0 then redis.call('SADD', pending, unpack(claimed)) end
keep_drawn()
finish_directory(deadline ~= '0')
return replies
