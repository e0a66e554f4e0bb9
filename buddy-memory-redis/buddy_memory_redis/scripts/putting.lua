-- Rows to be written: gathered one by one, and then written at once. Put in front of the scripts that
-- write rows, behind the shelf.
-- A row comes as its id, what it is made with, and its payload. It is made with "version created
-- updated", or '' for version 1 and the time of the call.

-- What is to be written: for the index, for the rows, the ids; and the fences to be raised.
local places, texts, written, fences = {}, {}, {}, {}

-- What the first line of the rows ends with: when they expire, if they do.
local ending = ''

local function expire_at(deadline)
  if deadline ~= '0' then ending = ' ' .. deadline end
end

-- Raise a fence along with the rows. It is read now: nothing is written yet that could stay behind.
local function raise_later(token)
  is_late(token)
  fences[#fences + 1] = token
end

-- The time of the update, which moves on even when the clock does not.
local function moved(updated, now_text)
  local s, u = string.match(updated or '', '^(-?%d+)%.(%d+)$')
  local now_s, now_u = string.match(now_text, '^(-?%d+)%.(%d+)$')
  if not s or tonumber(s) < tonumber(now_s) or (tonumber(s) == tonumber(now_s) and u < now_u) then
    return now_text
  end
  if u == '999999' then return text(tonumber(s) + 1) .. '.000000' end
  return s .. string.format('.%06d', tonumber(u) + 1)
end

local function write_row(id, header, payload)
  texts[#texts + 1] = id
  texts[#texts + 1] = header .. ending .. '\n' .. payload
  written[#written + 1] = id
  return header
end

local function made_with(made, now_text)
  if made == '' then return '1', now_text .. ' ' .. now_text end
  return string.match(made, '^(%d+) (.*)$')
end

-- Returns the head that is then stored.
local function insert(id, position, made, payload, now_text)
  local version, times = made_with(made, now_text)
  places[#places + 1] = position
  places[#places + 1] = id
  return write_row(id, version .. ' ' .. position .. ' ' .. times, payload)
end

-- Returns the head that is then stored.
local function update(id, value, made, payload, now_text)
  local version, position, created, updated = head(id, value)
  if not created then
    local _, times = made_with(made, now_text)
    created = string.match(times, '^%S+')
  end
  local header = text(version + 1) .. ' ' .. position .. ' ' .. created .. ' '
  return write_row(id, header .. moved(updated, now_text), payload)
end

local function set_written_deadlines(deadline)
  for _, id in ipairs(written) do
    if deadline ~= '0' then
      redis.call('ZADD', deadlines, deadline, id)
    else
      redis.call('ZREM', deadlines, id)
    end
  end
end

local function write_rows(deadline)
  if #places > 0 then redis.call('ZADD', index, unpack(places)) end
  if #texts > 0 then redis.call('HSET', rows, unpack(texts)) end
  for _, token in ipairs(fences) do raise_fence(token) end
  if deadline ~= '0' or had_deadlines then
    set_written_deadlines(deadline)
    finish_shelf(true)
  end
end
