-- List ids of all users. ARGV: 'desc' or 'asc'; position to start after, or ''; count
-- Returns the time in µs, then (id, position, "token user")s; what is expired is taken out
local newest_first, after, wanted = ARGV[1] == 'desc', ARGV[2], tonumber(ARGV[3])
local replies, ghosts = {text(microseconds())}, {}

while wanted > 0 do
  local asked = wanted
  local found = range(index, newest_first, after, wanted)
  for i = 1, #found, 2 do
    local id, position = found[i], found[i + 1]
    local token, owner = entry(id)
    after = position
    if token then
      wanted = wanted - 1
      replies[#replies + 1] = id
      replies[#replies + 1] = position
      replies[#replies + 1] = token .. ' ' .. owner
    else
      ghosts[#ghosts + 1] = id
    end
  end
  if #found < 2 * asked then break end
end

for _, id in ipairs(ghosts) do tidy({owners}, {index, deadlines}, id) end
return replies
