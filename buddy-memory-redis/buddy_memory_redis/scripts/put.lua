-- Write rows: the second step of a write in two, and the first attempt at an update.
-- ARGV: the time as seconds.microseconds; the deadline in ms or 0; whether rows that expire are left
--       to the longer way ('1'); the version expected, or ''; then (id, token or '', place,
--       open, made, payload)s. Only a token allows to insert; where open is '1', an earlier deed on
--       this id is shut out by a fence
-- Returns for each the head that is now stored, or "missing", "fenced", "conflict version"
local now_text, deadline, lasting_only, expected = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]

local function put(value, id, token, place, open, made, payload)
  if not value and token == '' then return 'missing' end
  if value and lasting_only and had_deadlines and redis.call('ZSCORE', deadlines, id) then
    return 'missing'
  end
  local other = conflict(expected, id, value)
  if other then return other end
  if open == '1' then raise_later(token) end
  if value then return update(id, value, made, payload, now_text) end
  if is_late(token) then return 'fenced' end
  return insert(id, place, made, payload, now_text)
end

demand_writing(had_deadlines or deadline ~= '0')
expire_at(deadline)
drop_due()
local ids, replies = {}, {}
for i = 5, #ARGV, 6 do ids[#ids + 1] = ARGV[i] end
for n, value in ipairs(live_all(ids)) do
  replies[n] = put(value, unpack(ARGV, 6 * n - 1, 6 * n + 4))
end
write_rows(deadline)
return replies
