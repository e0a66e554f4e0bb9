-- Ask whether claimed rows are there. ARGV: (id, token, '1' to fence off a late insert)s
-- Returns for each the position, or '' when there is no row
local replies = {}
for i = 1, #ARGV, 3 do
  local position = ''
  if live(ARGV[i]) then
    position = redis.call('ZSCORE', index, ARGV[i]) or '0'
  elseif ARGV[i + 2] == '1' then
    raise_fence(ARGV[i + 1])
  end
  replies[#replies + 1] = position
end
return replies
