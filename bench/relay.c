/* The floor: relays datagrams on the loopback address without looking at them. What comes from the callee's port
 * goes to whoever else sent last; all else goes to the callee. Usage: relay PORT CALLEE_PORT */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	static char data[65536];
	struct sockaddr_in me = {.sin_family = AF_INET}, callee, caller, from;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), size = 4 << 20;

	if (argc != 3)
		return 2;
	me.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	caller = callee = me;
	me.sin_port = htons(atoi(argv[1]));
	callee.sin_port = htons(atoi(argv[2]));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (bind(fd, (struct sockaddr *)&me, sizeof me)) {
		perror("bind");
		return 1;
	}
	for (;;) {
		socklen_t length = sizeof from;
		ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &length);
		if (got < 0)
			continue;
		if (from.sin_port != callee.sin_port)
			caller = from;
		sendto(fd, data, got, 0,
			(struct sockaddr *)(from.sin_port == callee.sin_port ? &caller : &callee), sizeof me);
	}
}
