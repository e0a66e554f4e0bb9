-- Delete rows. ARGV: generation; version expected, or '' for any; then for each row user, id
-- Returns how many there were, or "conflict version", where nothing was deleted
local expected, count = ARGV[2], 0
demand('ZREM', 'HINCRBY')
if expiring then demand_expiring() end
check_types()
call('HLEN', marks)

for i = 3, #ARGV, 2 do
  local user, id = ARGV[i], ARGV[i + 1]
  local field = user .. '\0' .. id
  local value = call('HGET', rows, field)
  local is_there = value and not is_due(field)
  local version, position, stamp = 0, nil, nil
  if value then
    local _
    version, position, _, _, stamp = head_of(value)
    if not version then version, position = 0, call('ZSCORE', order, field) end
  end
  if expected ~= '' and tonumber(expected) ~= (is_there and tonumber(version) or 0) then
    return 'conflict ' .. (is_there and version or 0)
  end
  if value then
    remove(field, user, id, position, stamp)
  end
  if is_there then count = count + 1 end
end
if expiring then
  sweep(SWEPT)
  fit_lifetime()
end
return count
