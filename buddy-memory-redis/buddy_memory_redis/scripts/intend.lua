-- Declare the intent to delete, the first step of a deletion.
-- ARGV: the user whose ids are meant, or '' for any; n; n times (id, token, position) to settle; ids
-- Returns for each id "open token user", or false when it is free or another user's; open is 1 when
-- an earlier intent may still be under way
local meant, replies, first = ARGV[1], {}, 3 + 3 * tonumber(ARGV[2])

local function intend(id, owner)
  local open = 1 - redis.call('SADD', pending, id)
  local entry = draw() .. ' ' .. owner
  redis.call('HSET', owners, id, entry)
  return text(open) .. ' ' .. entry
end

demand_writing(had_deadlines)
go_on_when_full()
settle(ARGV, 3, first - 1)
for i = first, #ARGV do
  local token, owner = entry(ARGV[i])
  local is_meant = token and (meant == '' or meant == owner)
  replies[#replies + 1] = is_meant and intend(ARGV[i], owner) or false
end
finish_directory(false)
return replies
