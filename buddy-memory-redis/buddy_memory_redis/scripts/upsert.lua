-- Write rows of one user in one step, where the directory is on the same server as the shelf.
-- KEYS: those of the shelf, and then those of the directory
-- ARGV: a number that the directory is known to have drawn; the user; ttl in ms or 0; the version
--       expected, or ''; the time as seconds.microseconds; n; n times (id, token, position) to
--       settle; then (id, position or '' to draw one, made, payload)s
-- Returns "elsewhere"; or the head of the one row that quick_upsert.lua wrote; or for each row that was not
-- inserted at its position with what it is made with, its number, from 0, and the head that is now
-- stored. When an id is another user's, or another version is stored than was expected, nothing is
-- written, and the outcomes are only of those: "other token user", "conflict version"
--
-- Who hides several servers behind one address sends this to the server of the shelf. It need not be
-- that of the directory, but is when it holds the number last drawn, which is one that grows.
if last_drawn() < tonumber(ARGV[1]) then return 'elsewhere' end

local user, deadline, expected, now_text = ARGV[2], deadline_after(ARGV[3]), ARGV[4], ARGV[5]
local first = 7 + 3 * tonumber(ARGV[6])
local replies, refused, ended = {}, {}, {}

-- Give the id a token, and a place in the order unless it has one; return the place of a new row.
local function declare(id, value, token, position)
  local open = token and redis.call('SISMEMBER', pending, id) == 1
  local fresh = (token or position == '') and draw() or position
  if position == '' then position = fresh end
  local place = position
  if value then place = select(2, head(id, value)) end
  take(id, user, fresh, not (token and value) and place)
  if open then
    raise_later(fresh)
    ended[#ended + 1] = id
  end
  return place
end

-- Returns the outcome, and whether the row was refused.
local function upsert(value, owned, id, position, made, payload)
  local token, owner = parse(id, owned)
  if token and owner ~= user then return 'other ' .. token .. ' ' .. owner, true end
  local other = conflict(expected, id, value)
  if other then return other, true end
  local place = position
  -- The directory has nothing to learn from the update of a row that lasts.
  if not (token and value) or deadline ~= '0' or is_passing(id) then
    place = declare(id, value, token, position)
  end
  if value then return update(id, value, made, payload, now_text) end
  local header = insert(id, place, made, payload, now_text)
  return place ~= position and header or nil
end

demand_writing(had_deadlines or deadline ~= '0')
expire_at(deadline)
forget_due()
drop_due()
settle(ARGV, 7, first - 1)
local ids = {}
for i = first, #ARGV, 4 do ids[#ids + 1] = ARGV[i] end
local owned, values = redis.call('HMGET', owners, unpack(ids)), live_all(ids)
for n, id in ipairs(ids) do
  local i = first + 4 * n - 4
  local outcome, is_refused = upsert(values[n], owned[n], unpack(ARGV, i, i + 3))
  local list = is_refused and refused or replies
  if outcome then
    list[#list + 1] = text(n - 1)
    list[#list + 1] = outcome
  end
end
if #refused > 0 then return refused end

redis.call('ZCARD', index)
write_claims(deadline)
write_rows(deadline)
if #ended > 0 then redis.call('SREM', pending, unpack(ended)) end
keep_drawn()
finish_directory(deadline ~= '0')
return replies
