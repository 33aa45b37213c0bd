package aeonnx;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;

/** Reads files whose kind and size are known to be right before anything of them is read. */
final class Input {
    /** Bytes of a graph or an array: what a Java array holds. */
    static final long MOST = Integer.MAX_VALUE - 8;

    private Input() {}

    /** It is of another size than it must be. */
    static final class SizeException extends IOException {
        private static final long serialVersionUID = 1L;
        final long size;

        SizeException(Path path, long size, long most) {
            super(Names.text(path) + " is " + size + " bytes, expected at most " + most);
            this.size = size;
        }
    }

    /** Whether a regular file starts with these bytes; not if it cannot be read. */
    static boolean startsWith(Path path, byte[] magic) {
        if (!Files.isRegularFile(path)) { // a pipe would be waited for
            return false;
        }
        try (InputStream file = Files.newInputStream(path)) {
            return Arrays.equals(file.readNBytes(magic.length), magic);
        } catch (IOException error) {
            return false;
        }
    }

    /**
     * The content of a regular file of `least` to `most` bytes.
     *
     * @throws AeonnxException it is a folder, a pipe or a device, which might never end
     */
    static byte[] read(Path path, long least, long most) throws IOException {
        // Java cannot open without waiting for a pipe's other end: the kind is asked for first.
        if (!Files.readAttributes(path, BasicFileAttributes.class).isRegularFile()) {
            throw new AeonnxException(Names.text(path) + " is not a regular file");
        }
        try (FileChannel file = FileChannel.open(path)) {
            long size = file.size();
            if (size < least || size > most) {
                throw new SizeException(path, size, most);
            }
            ByteBuffer data = ByteBuffer.allocate(Math.toIntExact(size));
            while (data.hasRemaining() && file.read(data) >= 0) {
                // until it is full
            }
            if (data.hasRemaining()) {
                throw new SizeException(path, data.position(), most);
            }
            return data.array();
        }
    }
}
