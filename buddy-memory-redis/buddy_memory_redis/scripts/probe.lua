-- Ask whether claimed rows are there. ARGV: '1' to shut out deeds that may still be on their way;
-- then (id, token)s
-- Returns for each the position, or '' when there is no row
local replies = {}
for i = 2, #ARGV, 2 do
  local position = live(ARGV[i]) and redis.call('ZSCORE', index, ARGV[i])
  replies[#replies + 1] = position or ''
  if ARGV[1] == '1' then raise_fence(ARGV[i + 1]) end
end
return replies
