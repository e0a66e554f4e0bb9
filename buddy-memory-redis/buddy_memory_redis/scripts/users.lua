-- Users who have a row that has not expired, in order.
-- ARGV: generation; the range in the index that is sorted by users; how many
-- Returns where the next call has to begin, or '' at the end; then the users
demand_indexes()
local STEPS = 1000
local low, high, wanted = ARGV[2], ARGV[3], tonumber(ARGV[4])
local replies, steps = {''}, 0

while true do
  local first = call('ZRANGE', users, low, high, 'BYLEX', 'LIMIT', 0, 1)[1]
  if not first then break end
  local user = string.match(first, '^%Z*')
  local from, to = of_user(user)
  local due = count_due(user)
  if due == 0 or due < call('ZLEXCOUNT', users, from, to) then replies[#replies + 1] = user end
  low, steps = '[' .. user .. '\1', steps + 1
  if #replies > wanted or steps == STEPS then
    replies[1] = low
    break
  end
end
return replies
