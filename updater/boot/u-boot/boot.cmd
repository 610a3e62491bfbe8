# U-Boot: an order of slots, and starts left for each. Sourced as boot.scr:
#     mkimage -A arm64 -T script -C none -d boot.cmd boot.scr
# or kept in the environment as text. Needs CONFIG_HUSH_PARSER and CONFIG_CMD_SETEXPR.
#
# The first slot of BOOT_ORDER with starts left is started by `run boot_slot_A` or `run boot_slot_B`, which are the integrator's. Starts
# are counted, and the environment is written, only while a slot is on trial: a committed slot and its flash do not wear out.
# `saveenv` does that, or `run save_environment` where the integrator has set it.
# If a slot cannot be loaded its command returns, and the device resets: the next start counts one less.

setenv slot
setenv counted
for name in ${BOOT_ORDER}; do
    if test -z "${slot}" -a "${name}" = A; then
        if test "${BOOT_A_LEFT}" -gt 0; then
            setenv slot A
            if test "${BOOT_TRIAL}" = A; then
                setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
                setenv counted yes
            fi
        fi
    fi
    if test -z "${slot}" -a "${name}" = B; then
        if test "${BOOT_B_LEFT}" -gt 0; then
            setenv slot B
            if test "${BOOT_TRIAL}" = B; then
                setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
                setenv counted yes
            fi
        fi
    fi
done

if test -n "${counted}"; then
    setenv counted
    setenv saved_slot ${slot}
    setenv slot
    if test -n "${save_environment}"; then run save_environment; else saveenv; fi
    setenv slot ${saved_slot}
    setenv saved_slot
fi

if test -n "${slot}"; then
    echo "Starting slot ${slot}"
    setenv bootargs "${bootargs_base} updater.slot=${slot}"
    if test "${slot}" = A; then run boot_slot_A; else run boot_slot_B; fi
    echo "Slot ${slot} could not be started"
    # A committed slot that cannot be loaded: the other one, if it has starts left.
    if test "${BOOT_TRIAL}" != "${slot}"; then
        if test "${slot}" = A -a "${BOOT_B_LEFT}" -gt 0 -a "${BOOT_TRIAL}" != B; then
            setenv bootargs "${bootargs_base} updater.slot=B"
            run boot_slot_B
        fi
        if test "${slot}" = B -a "${BOOT_A_LEFT}" -gt 0 -a "${BOOT_TRIAL}" != A; then
            setenv bootargs "${bootargs_base} updater.slot=A"
            run boot_slot_A
        fi
    fi
else
    # (An apostrophe in a message is a syntax error to U-Boot.)
    echo "No slot has starts left: set BOOT_ORDER"
fi
reset
