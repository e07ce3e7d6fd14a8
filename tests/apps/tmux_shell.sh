# needs: tmux
exec 2>&1
export SHELL=/bin/sh ENV= TMUX_TMPDIR=$PWD
tmux -f /dev/null -S t.sock new-session -d -s one -x 80 -y 24 "sh -c 'PS1=\"> \" exec sh'"; sleep 0.5
tmux -S t.sock send-keys -t one 'echo result $((40 + 2))' Enter; for i in $(seq 50); do tmux -S t.sock capture-pane -p -t one | grep -q '^result 42' && break; sleep 0.1; done; tmux -S t.sock capture-pane -p -t one | grep '^result'
tmux -S t.sock send-keys -t one 'stty size; tty | cut -c1-9' Enter; sleep 0.5; tmux -S t.sock capture-pane -p -t one | grep -E '^[0-9]+ [0-9]+$|^/dev/pts'; tmux -S t.sock send-keys -t one 'sleep 100' Enter; sleep 0.4; tmux -S t.sock send-keys -t one C-c; sleep 0.3; tmux -S t.sock send-keys -t one 'echo status $?' Enter; sleep 0.5; tmux -S t.sock capture-pane -p -t one | grep '^status'; tmux -S t.sock list-sessions -F '#S #{session_windows}'; tmux -S t.sock kill-server; sleep 0.2; tmux -S t.sock ls > /dev/null; echo $?
