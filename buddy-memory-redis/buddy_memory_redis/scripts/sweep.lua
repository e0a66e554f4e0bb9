-- Remove rows that have expired. ARGV: generation; how many at most. Returns how many these were
demand('ZREM', 'HINCRBY')
demand_expiring()
check_types()
local count = sweep(tonumber(ARGV[2]))
if count > 0 then fit_lifetime() end
return count
