-- What identifies the state of one user's rows: their number, the sum of their stamps, and how many
-- of them have expired. ARGV: generation; user. Returns these, joined by colons, the last one only
-- where there is any
local user = ARGV[2]
local low, high = of_user(user)
local mark = call('ZLEXCOUNT', users, low, high) .. ':' .. (call('HGET', marks, user) or '0')
local due = count_due(user)
return due > 0 and mark .. ':' .. due or mark
