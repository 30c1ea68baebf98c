module mirrorhook.io/tests/bench/lean-go

go 1.26.0
