-- Delete rows, the second step of a deletion.
-- ARGV: (id, expected version or '', token, '1' to fence off a write that is still on its way)s
-- Returns for each "gone", "missing" or "conflict version"
local function remove(id, expected, token, open)
  local value = live(id)
  local version = value and head(id, value) or 0
  if expected ~= '' and expected ~= text(version) then return 'conflict ' .. text(version) end
  drop(id)
  if open == '1' then raise_fence(token) end
  return value and 'gone' or 'missing'
end

local replies = {}
drop_due()
for i = 1, #ARGV, 4 do
  replies[#replies + 1] = remove(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
finish(false)
return replies
