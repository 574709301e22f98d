/* Tells callgrind what to count: the rounds of bench/inprocess.py, and not the messages that it makes for them. */
#include <valgrind/callgrind.h>

void toggle(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}
