-- Read rows. ARGV: generation; then for each row user NUL id. Returns for each its text, or false
local values = call('HMGET', rows, unpack(ARGV, 2))
if expiring then
  for i, deadline in ipairs(call('ZMSCORE', deadlines, unpack(ARGV, 2))) do
    if deadline and tonumber(deadline) <= now then values[i] = false end
  end
end
return values
