-- Claims of ids for their users: gathered one by one, and then written at once. Put in front of the
-- scripts that claim, behind the directory.

-- What is to be written: for the index, for the owners, and the ids.
local claimed_places, entries, claimed = {}, {}, {}

-- Make an id the user's, under this token; with a position it takes its place in the order.
local function take(id, user, token, position)
  entries[#entries + 1] = id
  entries[#entries + 1] = token .. ' ' .. user
  claimed[#claimed + 1] = id
  if position then
    claimed_places[#claimed_places + 1] = position
    claimed_places[#claimed_places + 1] = id
  end
end

local function set_claimed_deadlines(deadline)
  for _, id in ipairs(claimed) do
    if deadline ~= '0' then
      redis.call('ZADD', deadlines, deadline, id)
    elseif had_deadlines then
      redis.call('ZREM', deadlines, id)
    end
  end
end

local function write_claims(deadline)
  if #claimed == 0 then return end
  if #claimed_places > 0 then redis.call('ZADD', index, unpack(claimed_places)) end
  redis.call('HSET', owners, unpack(entries))
  if deadline ~= '0' or had_deadlines then set_claimed_deadlines(deadline) end
end

local function deadline_after(ttl)
  return ttl == '0' and '0' or text(milliseconds() + tonumber(ttl))
end
