# SPDX-License-Identifier: GPL-3.0-or-later
connected_card 250 || say "no card"
connector=$(modetest -M xendrm-du -c | awk '/^[0-9]+\t/ && $3 == "connected" { print $1; exit }')
# modetest shows the picture until its standard input has something to read.
mkfifo /run/hold
modetest -M xendrm-du -s "$connector:800x600@XR24" <>/run/hold &
say "modetest runs"
await_word 800 end
echo >/run/hold
wait
