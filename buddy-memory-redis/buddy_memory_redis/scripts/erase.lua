-- Delete a row in one step, where the directory is on the same server as the shelf of its user.
-- KEYS: those of the shelf, and then those of the directory
-- ARGV: a number that the directory is known to have drawn; the user; the version expected, or '';
--       n; n times (id, token, position) to settle; the id
-- Returns "elsewhere", or "gone", "missing", "conflict version", or "other token user" when the id is
-- another user's
--
-- See upsert.lua for what the number proves.
if last_drawn() < tonumber(ARGV[1]) then return 'elsewhere' end

local user, expected, id = ARGV[2], ARGV[3], ARGV[#ARGV]
demand_writing(had_deadlines)
go_on_when_full()
settle(ARGV, 5, #ARGV - 1)

local token, owner = entry(id)
if token and owner ~= user then return 'other ' .. token .. ' ' .. owner end
local value = live(id)
local other = conflict(expected, id, value)
if other then return other end
if not token then return 'missing' end

local open = redis.call('SISMEMBER', pending, id) == 1
if open then is_late(token) end
redis.call('ZCARD', index)
forget(id)
drop(id)
if open then raise_fence(draw()) end
finish_directory(false)
finish_shelf(false)
return value and 'gone' or 'missing'
