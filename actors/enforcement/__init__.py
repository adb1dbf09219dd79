"""What is carried out: lockouts in force, demands driven until the account shows that they hold.

`lockouts` and `demands` say what must hold; `needs` what the account lacks of it; `pursuit` when a
call may go out (again); `plan` is the machine that puts them together, one input at a time; `journal`
makes its memory outlive a kill; `actor` is the shell.
"""
