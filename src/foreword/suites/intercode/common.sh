# What the file systems share. Days are whole, so that two sandboxes of one day are equal.
set -e
day() { date -d "$1 days ago" +%F; }
aged() { local days=$1; shift; touch -h -d "$(day "$days")" "$@"; }  # aged DAYS PATH...
settle() { find "$@" -depth -exec touch -h -d "$(day 2)" {} +; }     # before what is aged
write() { mkdir -p "$(dirname "$1")"; cat > "$1"; }
