-- List rows of one user. ARGV: 'desc' or 'asc'; position to start after, or ''; count
-- Returns (id, position, stored text)s; entries without a row are passed over and taken out
local newest_first, after, wanted = ARGV[1] == 'desc', ARGV[2], tonumber(ARGV[3])
local replies, ghosts = {}, {}

while wanted > 0 do
  local found = range(index, newest_first, after, wanted)
  if #found == 0 then break end
  local ids = {}
  for i = 1, #found, 2 do ids[#ids + 1] = found[i] end
  local asked = wanted
  for i, value in ipairs(live_all(ids)) do
    if value then
      wanted = wanted - 1
      replies[#replies + 1] = ids[i]
      replies[#replies + 1] = found[2 * i]
      replies[#replies + 1] = value
    else
      ghosts[#ghosts + 1] = ids[i]
    end
  end
  after = found[#found]
  if #ids < asked then break end
end

for _, id in ipairs(ghosts) do tidy({rows}, {index, deadlines}, id) end
return replies
