-- Delete rows, the second step of a deletion.
-- ARGV: (id, expected version or '', token, '1' to shut out an earlier deed on this id)s
-- Returns for each "gone", "missing", "conflict version", or "late" when a later deed was quicker
local function remove(id, expected, token, open)
  if token ~= '0' and is_late(token) then return 'late' end
  local value = live(id)
  local other = conflict(expected, id, value)
  if other then return other end
  drop(id)
  return value and 'gone' or 'missing'
end

local replies, fences = {}, {}
demand_writing(had_deadlines)
drop_due()
for i = 1, #ARGV, 4 do
  replies[#replies + 1] = remove(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
  if ARGV[i + 3] == '1' then fences[#fences + 1] = ARGV[i + 2] end
end
for _, token in ipairs(fences) do raise_fence(token) end
finish_shelf(false)
return replies
