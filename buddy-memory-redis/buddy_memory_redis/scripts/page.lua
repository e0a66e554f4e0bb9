-- Rows in order of their positions: those of one user, or of all users of the shard.
-- ARGV: generation; 'desc' or 'asc'; the position to begin after, or ''; how many; 'user' and the user;
--       'stamps' where the text of a row is not wanted, and its stamp is
-- Returns the position to go on after, or '' at the end; then for each row its name and its text, or
-- its stamp, '' where it has none. The name is user NUL position NUL id of one user's rows, and position NUL user NUL id of all users'
demand_indexes()
local LOOKED_AT = 2000
local is_desc, after, wanted = ARGV[2] == 'desc', ARGV[3], tonumber(ARGV[4])
local user, only_stamps = ARGV[5] == 'user' and ARGV[6], ARGV[7] == 'stamps'

-- Names and fields of the next entries, in two lists.
local function of_one(count)
  local low, high = of_user(user)
  if after ~= '' then
    if is_desc then
      high = '(' .. user .. '\0' .. padded(after)
    else
      low = '(' .. user .. '\0' .. padded(after) .. '\1'
    end
  end
  local members
  if is_desc then
    members = call('ZRANGE', users, high, low, 'BYLEX', 'REV', 'LIMIT', 0, count)
  else
    members = call('ZRANGE', users, low, high, 'BYLEX', 'LIMIT', 0, count)
  end
  local fields, from = {}, #user + 18
  for i, member in ipairs(members) do fields[i] = user .. string.sub(member, from) end
  return members, fields
end

local function of_all(count)
  local found
  local from = after ~= '' and '(' .. after
  if is_desc then
    found = call('ZRANGE', order, from or '+inf', '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, count, 'WITHSCORES')
  else
    found = call('ZRANGE', order, from or '-inf', '+inf', 'BYSCORE', 'LIMIT', 0, count, 'WITHSCORES')
  end
  local names, fields = {}, {}
  for i = 1, #found, 2 do
    fields[#fields + 1] = found[i]
    names[#names + 1] = found[i + 1] .. '\0' .. found[i]
  end
  return names, fields
end

local function position_of(name)
  if user then return string.sub(name, #user + 2, #user + 17) end
  return string.match(name, '^%d+')
end

local function has_due()
  if not expiring then return false end
  return (user and count_due(user) or call('ZCOUNT', deadlines, '-inf', now)) > 0
end

-- Rows that have expired are passed over, of which a script looks at some only: at twice as many rows
-- as are wanted where there are any, and at more each time.
local replies, looked_at = {''}, 0
local asked = has_due() and 2 * wanted or wanted
while wanted > 0 do
  if looked_at >= LOOKED_AT then
    replies[1] = after
    break
  end
  local names, fields = (user and of_one or of_all)(asked)
  if #fields == 0 then break end
  local deadline_of = expiring and call('ZMSCORE', deadlines, unpack(fields)) or {}
  local seen = 0
  for i, value in ipairs(call('HMGET', rows, unpack(fields))) do
    if wanted == 0 then break end
    seen = i
    if value and not (deadline_of[i] and tonumber(deadline_of[i]) <= now) then
      wanted = wanted - 1
      local size = #replies
      if only_stamps then value = string.match(value, '^%d+ %S+ %S+ %S+ (%d+) ') or '' end
      replies[size + 1], replies[size + 2] = names[i], value
    end
  end
  after, looked_at = position_of(names[seen]), looked_at + seen
  if wanted == 0 then replies[1] = after end
  if #fields < asked then break end
  asked = math.min(2 * asked, LOOKED_AT)
end
return replies
