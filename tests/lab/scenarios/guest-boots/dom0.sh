# SPDX-License-Identifier: GPL-3.0-or-later
# No display yet: guests and the ways of talking with them.
create_guest plain guest.sh ''
await_guest 200 plain "up"
tell_guest plain go now
await_guest 60 plain "heard=now"
expect "the word that came back" now "$(guest_value plain heard)"
await_guest 60 plain "script ended with 0"
wait_for 60 "the guest's end" no_guest plain
