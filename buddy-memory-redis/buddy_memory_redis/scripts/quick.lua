-- What most calls want costs a third when it is done first, before a server makes all the functions of
-- a script: one row, where nothing expires and nobody is in between. Put in front of the scripts that
-- have such a part (quick_*.lua); where anything is different, they go on with what they are for.

-- Write a row anew that lasts, and return the head that is then stored; nil when it is not for here:
-- its head is unreadable, it expires, or the clock did not move on.
local function update_quickly(rows, id, value, now_text, payload)
  local version, place, updated = string.match(value, '^(%d+) (%d+ %S+) (%S+)\n')
  if not version or #updated ~= #now_text or updated >= now_text then return nil end
  local header = string.format('%.0f', version + 1) .. ' ' .. place .. ' ' .. now_text
  redis.call('HSET', rows, id, header .. '\n' .. payload)
  return header
end

-- The owner in the directory's text; nil where there is none.
local function owner_of(owned)
  return owned and string.match(owned, '^%d+ (.*)$')
end
