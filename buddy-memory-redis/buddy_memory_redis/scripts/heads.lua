-- Places of rows in a range of users: the first few in order of their positions, of which each user
-- is asked for that many, so that the cost depends on the users and not on their rows.
-- ARGV: generation; 'desc' or 'asc'; the position to begin after, or ''; how many, or '' for all in any
--       order; the range in the index that is sorted by users
-- Returns where the next call has to begin, or '' at the end; then for each place position, user NUL id
demand_indexes()
local STEPS = 2000
local is_desc, after, wanted = ARGV[2] == 'desc', ARGV[3], tonumber(ARGV[4])
local low, high = ARGV[5], ARGV[6]
if after ~= '' then after = padded(after) end

-- Places as {position, field}; when there are enough, none can be added beyond `limit`.
local places, limit = {}, ''

local function keep_first()
  if #places <= wanted then return end
  table.sort(places, function(a, b)
    if is_desc then return a[1] > b[1] end
    return a[1] < b[1]
  end)
  for i = #places, wanted + 1, -1 do places[i] = nil end
  limit = places[wanted][1]
end

local function add(user, members)
  local from = #user + 2
  for _, member in ipairs(members) do
    local field = user .. string.sub(member, from + 16)
    if not is_due(field) then places[#places + 1] = {string.sub(member, from, from + 15), field} end
  end
end

-- Add the first places of one user; return how many were looked at.
local function add_first(user)
  local from, to = of_user(user)
  local above, below = after, limit
  if is_desc then above, below = limit, after end
  if above ~= '' then from = '(' .. user .. '\0' .. above .. '\1' end
  if below ~= '' then to = '(' .. user .. '\0' .. below end
  local count = expiring and math.max(wanted, 100) or wanted
  local before, looked_at = #places, 0
  repeat
    local members
    if is_desc then
      members = call('ZRANGE', users, to, from, 'BYLEX', 'REV', 'LIMIT', 0, count)
      to = members[1] and '(' .. members[#members]
    else
      members = call('ZRANGE', users, from, to, 'BYLEX', 'LIMIT', 0, count)
      from = members[1] and '(' .. members[#members]
    end
    add(user, members)
    looked_at = looked_at + #members
    -- Again only where some had expired.
  until #members < count or #places - before >= wanted
  return looked_at
end

local function replies_from(begin)
  local replies = {begin}
  for _, place in ipairs(places) do
    replies[#replies + 1] = place[1]
    replies[#replies + 1] = place[2]
  end
  return replies
end

if not wanted then
  local members = call('ZRANGE', users, low, high, 'BYLEX', 'LIMIT', 0, STEPS)
  for _, member in ipairs(members) do
    local user = string.match(member, '^%Z*')
    add(user, {member})
  end
  return replies_from(#members == STEPS and '(' .. members[STEPS] or '')
end

local steps = 0
while steps < STEPS do
  local first = call('ZRANGE', users, low, high, 'BYLEX', 'LIMIT', 0, 1)[1]
  if not first then
    low = ''
    break
  end
  local user = string.match(first, '^%Z*')
  steps = steps + 1 + add_first(user)
  keep_first()
  low = '[' .. user .. '\1'
end
return replies_from(low)
