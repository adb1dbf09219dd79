"""The watchdog: a small second process that starts the daemon, sees whether it still thinks, and replaces it.

- `verdict`  what to do about what is seen: pure, `now` is an input
- `process`  a process by pid and start ticks: alive, stopped, signalled without ever hitting another one
- `notify`   what a service unit is told: ready, alive, stopping
- `asked`    what people and service managers ask of it by signals
- `starting` a daemon is started: the one that stands by, else a fresh process
- `loop`     the thin shell: looks, judges, starts, kills; `__main__` is its command line

What daemon and watchdog owe each other
---------------------------------------
The watchdog runs `python -P -m supervisor --home HOME ARGS… [--safe-mode]`, where ARGS is what `riskd up`
handed over (`--config FILE`… `--set KEY=VALUE`… `--env-file FILE`), the same at every start. The daemon
inherits the environment, works in HOME, has a session of its own; its output goes to HOME/logs/daemon.out.

- `RISKD_RESTART=N`: 0 for the first start, then 1, 2, … A restarted daemon (N > 0) runs on the stored
  configuration and reads ARGS only where nothing is stored yet. Under a service unit it begins with 1.
- `RISKD_RESTART_CAUSE`: why the one before ended, for the record (empty at the first start).
- `RISKD_DOWN_SINCE`: monotonic second since when nobody guards, for `uncovered_ms` (likewise).

The daemon
- takes HOME/riskd.lock before anything else; exits 1 with a reason when it is held;
- writes HOME/run/daemon.json `{pid, start_ticks, started_at, restart, safe_mode, phase}` early, and again
  whenever `phase` changes: words for `riskd up` ("opening the store", "logging in", …), then "ready";
- beats on HOME/run/heartbeat (`supervisor.heartbeat`) after each scan, with its pid and start ticks;
  `Phase.READY` once everything it could start is started, guarding or blind; `Phase.STOPPING` before it
  begins to stop because it was told to: from then on it has `stop_s` to end and is not replaced
  (`Phase.RESTARTING` where it ends because a restart was asked for, `Phase.FAILING` where it cannot go on or
  somebody sent it a signal: it has as long, and is replaced; the second counts as a failure);
- has `faulthandler.register(SIGUSR1, file=…)` write stacks to HOME/run/stacks.txt before its first beat;
- on SIGTERM or SIGINT stops cleanly, as on `down`; on a second one within 5 s it ends at once;
- leaves HOME/run/ended.json `{exit, why, hint, left_open}` where it ended because it was told to;
- starts a watchdog where its own died or stands still (`supervisor.anchor`): that one beats on
  HOME/run/watchdog.beat.

Exit codes of the daemon
- 0   it was told to end (`down`): the watchdog ends too;
- 1   refused at the first start (login refused, rule self-test, home in use): not started again;
- 78  bad configuration at the first start: likewise. For both it writes HOME/run/ended.json
      `{exit, why, hint}` first, which is what `riskd up` shows;
- 75  replace me (`restart`): at once, by a fresh process, out of safe mode, no failure;
- 70  a part that only a new process cures: replaced, and counted as a failure;
- 143 ended by a SIGTERM that was not the watchdog's: replaced;
- anything else, or a signal: replaced, first at once, then with growing pauses, and after
  `tally` failures within `tally_s` in safe mode until `restart`, or `safe_s` without a crash.

While the daemon is well, one more process waits with everything imported (`supervisor.standby`); told
`{argv, environment}` on its standard input it is the next daemon.

Killing the watchdog leaves the daemon running; a new one (`python -P -m ops.watchdog` with the arguments of
HOME/run/watchdog.json `{pid, start_ticks, started_at, argv}`) adopts it. `down` ends both.
"""
