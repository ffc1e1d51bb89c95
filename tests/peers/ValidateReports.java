import com.pixelmed.validate.DicomSRValidator;
import java.io.BufferedReader;
import java.io.InputStreamReader;

/** What PixelMed says of each report named on standard input, one to a line; "= end" stands behind each answer. */
public class ValidateReports {
    public static void main(String[] arguments) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        BufferedReader files = new BufferedReader(new InputStreamReader(System.in));
        for (String file = files.readLine(); file != null; file = files.readLine()) {
            System.out.println(validator.validate(file));
            System.out.println("= end");
            System.out.flush();
        }
    }
}
