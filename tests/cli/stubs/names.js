exports.of = function (address) {
	return address === "192.0.2.9" ? "gateway" : address;
};
