-- Replace vector and payload of a row that still has a stamp.
-- ARGV: generation; user; id; the stamp; the new stamp; size of the vector or '-'; vector and payload
-- Returns 1, or 0 when there is no such row
local user, field = ARGV[2], ARGV[2] .. '\0' .. ARGV[3]
demand('HSET')
local value = call('HGET', rows, field)
if not value or is_due(field) then return 0 end
local version, position, created, updated, stamp, tail = head_of(value)
if stamp ~= ARGV[4] then return 0 end
local expires = string.match(tail, '^%S+')
local head = table.concat({version, position, created, updated, ARGV[5], expires, ARGV[6]}, ' ')
call('HINCRBY', marks, user, text(ARGV[5] - stamp))
call('HSET', rows, field, head .. '\n' .. ARGV[7])
return 1
