-- Find rows by id alone, two of each id at most. ARGV: generation; then ids
-- Returns for each row user NUL id, text
demand_indexes()
local AT_ONCE = 100
local replies = {}

local function find(id)
  local low, found = '[' .. id .. '\0', 0
  repeat
    -- One more of the same id is looked for only where the first ones have expired.
    local members = call('ZRANGE', ids, low, '(' .. id .. '\1', 'BYLEX', 'LIMIT', 0, expiring and AT_ONCE or 2)
    for _, member in ipairs(members) do
      local field = string.sub(member, #id + 2) .. '\0' .. id
      local value = found < 2 and not is_due(field) and call('HGET', rows, field)
      if value then
        found = found + 1
        replies[#replies + 1] = field
        replies[#replies + 1] = value
      end
      low = '(' .. member
    end
  until found == 2 or not expiring or #members < AT_ONCE
end

for i = 2, #ARGV do find(ARGV[i]) end
return replies
